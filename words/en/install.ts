/** English: the download page. The other languages follow this table; code fills in `{name}`. */
export const en = {
  title: "Install D-Sign",
  intro:
    "D-Sign is the signing program on your computer. In its own window it shows what you sign, and takes your PIN.",
  language: "Language",
  step_get: "Download",
  get: "Download {name}",
  version: "Version {version}, {size}",
  checksum: "Check the file (SHA-256)",
  check_how: "This command must print exactly this value. If it differs, do not open the file:",
  other_files: "Files for other computers",
  no_release: "There is no file here. Ask your administrator for D-Sign.",
  no_file: "There is no file for this computer. D-Sign does not run on phones and tablets.",
  which_mac:
    "Your browser does not say which of the two it is: look in the Apple menu, About This Mac. “Apple M…” is arm64, “Intel” is x64.",
  step_install: "Install",
  install_windows:
    "Open the file. You need no administrator: D-Sign is installed for you alone, and starts by itself.",
  install_macos:
    "Open the file and follow its steps. Then start D-Sign from the Applications folder.",
  install_linux:
    "Open the file with the software centre, or ask your administrator. Then start D-Sign from the applications menu.",
  install_other: "Follow your administrator's instructions, then start D-Sign.",
  step_wait: "D-Sign on this computer",
  look: "I have started D-Sign: look for it",
  looking: "Looking for D-Sign on this computer…",
  prompt: "Your browser asks whether this site may reach programs on this computer. Allow it.",
  found: "D-Sign {version} is running.",
  older: "It is older than {version}. Install the new one.",
  step_test: "Test Socket",
  test: "Test Socket",
  testing: "One moment…",
  opened: "Connection opened",
  opened_next: "Everything is ready. You can close this page and open your portal.",
  test_window: "Test through a D-Sign window",
  failed_not_installed: "D-Sign does not answer. Start it, and try again.",
  failed_cannot_tell:
    "This browser does not say whether D-Sign is missing or its certificate is not trusted. Start D-Sign. If it runs already, type “dsign trust install” in a terminal and restart the browser.",
  failed_blocked_by_browser:
    "The browser keeps this page from reaching D-Sign. A window of D-Sign's own may help.",
  failed_permission_denied:
    "The browser was told not to let this site reach programs on this computer. Allow it in the site's settings, next to the address.",
  failed_certificate_untrusted:
    "The browser does not trust D-Sign's certificate. Run “dsign trust install” and restart the browser.",
  failed_outdated: "D-Sign on this computer is too old. Install the version above.",
  failed_user_cancelled: "The window was closed.",
};

export type InstallWords = Record<keyof typeof en, string>;
