# The last thing on a machine that becomes a Windows image: WinRM, which let Packer in, is off from the next start on; the
# machine forgets who it is, and shuts down. For Amazon's images from Windows Server 2022 on (EC2Launch v2).
$ErrorActionPreference = 'Stop'

Set-Service -Name WinRM -StartupType Disabled
Remove-Item -Path "$env:TEMP\*" -Recurse -Force -ErrorAction SilentlyContinue # files in use stay

& "$env:ProgramFiles\Amazon\EC2Launch\EC2Launch.exe" reset --block
& "$env:ProgramFiles\Amazon\EC2Launch\EC2Launch.exe" sysprep --shutdown --block
