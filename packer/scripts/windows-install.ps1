# Packer's PowerShell provisioner runs this on the machine that becomes a Windows image: the artifact, fetched, verified,
# unpacked to C:\app, run at every start, and seen to work once.
#
# Environment: APP_VERSION, APP_PORT, APP_HEALTH_PATH, APP_HEALTH_SECONDS, ARTIFACT_URL, ARTIFACT_SHA256.
# The artifact is a tar.gz with run.cmd at its top level, which stays in the foreground. That is a task and not a service,
# since a service has to answer Windows in a protocol that an ordinary program does not speak.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
$ProgressPreference = 'SilentlyContinue' # drawing the progress bar takes longer than the download

$directory = 'C:\app'
$task = 'app'

function Install-Artifact {
    $download = Join-Path $env:TEMP 'app.tar.gz'
    try {
        Invoke-WebRequest -UseBasicParsing -Uri $env:ARTIFACT_URL -OutFile $download
    }
    catch {
        throw "The artifact was not installed: $($_.Exception.Message)"
    }
    $digest = (Get-FileHash -Algorithm SHA256 -Path $download).Hash.ToLower()
    if ($digest -ne $env:ARTIFACT_SHA256) {
        throw "The artifact was not installed: the SHA-256 should be $env:ARTIFACT_SHA256; it was $digest."
    }
    New-Item -ItemType Directory -Path $directory | Out-Null
    tar.exe -xzf $download -C $directory
    if ($LASTEXITCODE -ne 0) {
        throw "The artifact can't be unpacked: tar ended with $LASTEXITCODE."
    }
    Remove-Item -Path $download
    if (-not (Test-Path -Path "$directory\run.cmd")) {
        throw 'The artifact has no run.cmd at its top level, so nothing would start.'
    }
}

# The environment is in the command: what is set for the machine reaches the task scheduler at the next start only.
function Register-App([hashtable]$environment) {
    $assignments = ($environment.GetEnumerator() | ForEach-Object { "set ""$($_.Key)=$($_.Value)""" }) -join ' & '
    $definition = @{
        TaskName  = $task
        Action    = New-ScheduledTaskAction -Execute 'cmd.exe' -Argument "/s /c ""$assignments & run.cmd""" -WorkingDirectory $directory
        Trigger   = New-ScheduledTaskTrigger -AtStartup
        Principal = New-ScheduledTaskPrincipal -UserId 'NT AUTHORITY\LOCAL SERVICE' -LogonType ServiceAccount
        Settings  = New-ScheduledTaskSettingsSet -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1)
    }
    Register-ScheduledTask @definition -Force | Out-Null
}

function Test-App {
    $answer = 'none'
    for ($attempt = 0; $attempt -lt [int]$env:APP_HEALTH_SECONDS; $attempt++) {
        try {
            Invoke-WebRequest -UseBasicParsing -TimeoutSec 5 -Uri "http://127.0.0.1:$env:APP_PORT$env:APP_HEALTH_PATH" | Out-Null
            return
        }
        catch {
            $answer = $_.Exception.Message
        }
        Start-Sleep -Seconds 1
    }
    $state = Get-ScheduledTask -TaskName $task | Get-ScheduledTaskInfo | Format-List | Out-String
    throw "The app did not answer GET $env:APP_HEALTH_PATH on port $env:APP_PORT with success in $env:APP_HEALTH_SECONDS attempts.`n" +
        "The last answer: $answer`nWhat the task scheduler knows:`n$state"
}

Install-Artifact
Register-App @{ APP_VERSION = $env:APP_VERSION; PORT = $env:APP_PORT }
Start-ScheduledTask -TaskName $task
Test-App
Stop-ScheduledTask -TaskName $task
Register-App @{ APP_VERSION = $env:APP_VERSION }
New-NetFirewallRule -Name 'app' -DisplayName 'The app' -Direction Inbound -Protocol TCP -LocalPort $env:APP_PORT -Action Allow | Out-Null
