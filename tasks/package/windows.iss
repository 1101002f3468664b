; Inno Setup 6: installs dist\dsign.exe, for the person alone, or with /ALLUSERS for all.
;
;   npx -y deno@2.9.6 task compile
;   iscc /DVersion=0.1.0 tasks\package\windows.iss
;
; Silent: dsign-0.1.0-windows-x64.exe /VERYSILENT /SUPPRESSMSGBOXES /NORESTART /ALLUSERS

#ifndef Version
  #error Give the version: /DVersion=0.1.0
#endif
#define Root SourcePath + "\..\.."

[Setup]
AppId={{7E1B6A54-54A6-4C0B-9B7C-5A1D0B7C9D51}
AppName=D-Sign
AppVersion={#Version}
AppPublisher=D-Sign maintainers
VersionInfoVersion={#Version}
LicenseFile={#Root}\LICENSE
DefaultDirName={autopf}\D-Sign
DisableDirPage=yes
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=commandline dialog
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
MinVersion=10.0
OutputDir={#Root}\dist\packages
OutputBaseFilename=dsign-{#Version}-windows-x64
Compression=lzma2
SolidCompression=yes
SetupIconFile={#Root}\dist\dsign.ico
UninstallDisplayIcon={app}\dsign.exe
; an agent that runs is ended and the new one started
CloseApplications=force
RestartApplications=no
#ifdef SignTool
SignTool={#SignTool}
SignedUninstaller=yes
#endif

[Files]
Source: "{#Root}\dist\dsign.exe"; DestDir: "{app}"; Flags: ignoreversion
Source: "{#Root}\LICENSE"; DestDir: "{app}"; DestName: "LICENSE.txt"

[Icons]
; dsign.exe is a program of the command line, so its window is put out of the way
Name: "{autoprograms}\D-Sign"; Filename: "{app}\dsign.exe"; Flags: runminimized

[Tasks]
Name: autostart; Description: "Start D-Sign when I log in"; Flags: unchecked

[Run]
Filename: "{app}\dsign.exe"; Parameters: "autostart enable"; Tasks: autostart; Flags: runhidden runasoriginaluser
Filename: "{app}\dsign.exe"; Description: "Start D-Sign"; Flags: postinstall nowait runminimized skipifsilent runasoriginaluser

[UninstallRun]
Filename: "{app}\dsign.exe"; Parameters: "autostart disable"; RunOnceId: autostart; Flags: runhidden
