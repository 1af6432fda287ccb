<powershell>
# At its first start the builder lets Packer in: WinRM over HTTPS alone, with a certificate for this one day.
$ErrorActionPreference = 'Stop'

$certificate = New-SelfSignedCertificate -DnsName 'packer' -CertStoreLocation Cert:\LocalMachine\My -NotAfter (Get-Date).AddDays(1)
Get-ChildItem WSMan:\localhost\Listener | Remove-Item -Recurse -Force
New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address * -CertificateThumbPrint $certificate.Thumbprint -Force
Set-Item -Path WSMan:\localhost\Service\AllowUnencrypted -Value $false

New-NetFirewallRule -Name 'packer-winrm' -DisplayName 'WinRM over HTTPS for Packer' -Direction Inbound -Protocol TCP -LocalPort 5986 -Action Allow
Set-Service -Name WinRM -StartupType Automatic
Restart-Service -Name WinRM
</powershell>
