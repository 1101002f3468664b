/** English: `dsign doctor`. The other languages follow this table; code fills in `{name}`. */
export const en = {
  skipped: "This could not be looked at, or there is nothing to look at.",
  status: { ok: "OK", warning: "Note", error: "Trouble", skipped: "Not seen" },
  meaning: "What it means",
  action: "What to do",
  allWell: "All is well. D-Sign is ready to sign.",
  fixed: "Mended",
  tickets: {
    policy_refused: {
      ok: "The administrator's policy is in order, or there is none.",
      seen: "The administrator's policy is not followed: {error}",
      meaning:
        "A policy that is damaged, or that others could have changed, is not followed. D-Sign does not start with one, so that nothing forbidden becomes allowed.",
      action:
        "Ask the administrator to correct the file {path}. It must belong to the administrator, and nobody else may write to it.",
    },
    configuration_wrong: {
      ok: "The configuration can be read.",
      seen: "The configuration cannot be read: {error}",
      meaning: "D-Sign does not start with a wrong configuration, so that nothing is guessed.",
      action: "Correct the file {path}, or move it away: without it everything is as by default.",
    },
    profile_not_writable: {
      ok: "D-Sign can write to its folders.",
      seen: "{path} cannot be written: {error}",
      meaning:
        "D-Sign cannot keep which sites you allowed, nor its settings. Often it was once started as administrator, and the files then belong to the administrator.",
      action:
        "Make the folder yours again (Linux and macOS: sudo {mend} '{folder}'), or ask the administrator.",
    },
    disk_full: {
      ok: "There is room on the disk.",
      seen: "Where {path} is, {free} MB are free.",
      meaning: "When the disk is full nothing can be kept, and signed documents cannot be written.",
      action: "Make room: empty the waste basket, delete what is not needed.",
    },
    clock_wrong: {
      ok: "The clock agrees with what is on this computer.",
      seen: "The clock says {now}, but {evidence} is of {then}.",
      meaning:
        "The clock is behind. Signatures get a wrong time, and certificates look as if they were not valid yet.",
      action:
        "Set date, time and time zone, and let the system keep them by network time. If this comes back after each start, the battery on the mainboard is empty.",
    },
    driver_missing: {
      ok: "A driver for tokens is installed.",
      seen: "No driver for a token was found.",
      meaning: "Without the driver of its maker no program can use a token.",
      action:
        "Install the driver that came with your token, or get it from its maker or from whoever issued it. If it lies in an unusual place: dsign modules add PATH",
    },
    driver_path_wrong: {
      ok: "Every driver that is set is there.",
      seen: "{driver} is set as a driver, but it is not there.",
      meaning: "The driver was removed or moved, or the setting has a typing mistake.",
      action: "Install the driver again, or take the setting out: dsign modules remove '{driver}'",
    },
    driver_wrong_architecture: {
      ok: "Every driver fits this computer.",
      seen: "{driver} was built for {built}. This computer needs {needed}.",
      meaning:
        "The driver is for another kind of processor, often an old 32-bit one. It cannot be loaded.",
      action: "Get the {needed} (64-bit) driver from the token's maker and install it.",
    },
    driver_broken: {
      ok: "Every driver answers.",
      seen: "{driver}: {error}",
      meaning:
        "The driver cannot be used. Tokens of this driver are not seen; other drivers are not touched by it.",
      action:
        "Take the token out, insert it, and look again. If it stays so, install the newest driver of the token's maker. dsign modules test '{driver}' shows more.",
    },
    token_missing: {
      ok: "A token is inserted.",
      seen: "No token is seen.",
      meaning:
        "The token is not inserted, or the driver that is installed is that of another product.",
      action:
        "Insert the token, wait until its light is steady, try another USB socket without a hub. If it is inserted: install the driver of exactly this token.",
    },
    token_not_initialised: {
      ok: "No inserted token is empty.",
      seen: "A token of the driver {driver} is empty: it was never initialised.",
      meaning: "There is no certificate and no PIN on it.",
      action:
        "Give it to whoever issues your certificate. Initialising deletes what is on a token.",
    },
    pin_not_set: {
      ok: "Every token has a PIN.",
      seen: "The token {token} has no PIN yet.",
      meaning: "It cannot be used for signing before you choose a PIN.",
      action: "Choose one with the program that came with the token.",
    },
    pin_locked: {
      ok: "No PIN is locked.",
      seen: "The PIN of the token {token} is locked.",
      meaning: "A wrong PIN was typed too often. The token refuses even the right one now.",
      action:
        "Whoever issued the token can unlock it with the PUK or SO PIN. D-Sign cannot, and it has not tried a PIN.",
    },
    pin_last_try: {
      ok: "No PIN is at its last try.",
      seen: "The token {token} says that one try is left for its PIN.",
      meaning: "One more wrong PIN locks it.",
      action: "Type the PIN only if you are sure of it. Otherwise ask whoever issued the token.",
    },
    pin_few_tries: {
      ok: "No wrong PIN was typed lately.",
      seen: "The token {token} says that a wrong PIN was typed since the last right one.",
      meaning: "Only a few tries are left. The right PIN resets the counter.",
      action: "Type the PIN with care; look at Caps Lock and Num Lock first.",
    },
    pin_default: {
      ok: "No token asks for its first PIN to be changed.",
      seen:
        "The token {token} says that its PIN has to be changed: it is still the first one, as from the factory.",
      meaning: "Others may know this PIN. Some tokens do not sign before it is changed.",
      action:
        "Change it with the program that came with the token. (D-Sign only read what the token says; it has not tried a PIN.)",
    },
    certificate_missing: {
      ok: "There is a certificate on the token.",
      seen: "There is no certificate on the token {token}.",
      meaning:
        "It was not downloaded to the token yet, or the token shows it only to its own program.",
      action: "Download your certificate to the token as your certifying authority describes it.",
    },
    certificate_encryption_only: {
      ok: "There is a certificate for signing.",
      seen:
        "No certificate on the token {token} is for signing documents; they are for encryption or other uses.",
      meaning:
        "Certifying authorities issue a pair; the one for encryption must not be used for signatures.",
      action: "Download the signing certificate of the pair too, or use the token that has it.",
    },
    certificate_not_yet_valid: {
      ok: "No certificate begins in the future.",
      seen: "The certificate of {name} is valid only from {date}.",
      meaning: "It was just issued, or the clock of this computer is behind.",
      action: "Look at date and time of this computer; otherwise wait until that day.",
    },
    certificate_expired: {
      ok: "A certificate for signing is valid.",
      seen: "The certificate of {name} ended on {date}.",
      meaning: "Nobody accepts new signatures with it. Signatures made before stay as they are.",
      action: "Renew it with your certifying authority and download the new one to the token.",
    },
    chain_incomplete: {
      ok: "The issuers' certificates are at hand.",
      seen: "The certificate of the issuer {issuer} is missing on the token {token}.",
      meaning:
        "Signatures are made without it, but some receivers cannot follow them to the root and show them as unknown.",
      action:
        "Put the certificates of the certifying authority onto the token with its program, or install the chain that the authority offers.",
    },
    port_taken: {
      ok: "A port is free for D-Sign, or D-Sign has it.",
      seen: "All ports of D-Sign ({ports}) are taken by other programs.",
      meaning: "Web pages cannot reach D-Sign; it does not start.",
      action:
        'End the other program, or set other "ports" in the configuration and tell the portal\'s people.',
    },
    loopback_blocked: {
      ok: "Programs of this computer reach each other.",
      seen: "A connection from this computer to itself (127.0.0.1) failed: {error}",
      meaning: "A firewall or antivirus stands between the browser and D-Sign.",
      action: "Add D-Sign, or 127.0.0.1, to the exceptions of the firewall or antivirus.",
    },
    proxy_in_the_way: {
      ok: "No proxy stands between browsers and this computer itself.",
      seen: "A proxy is set ({setting}) and 127.0.0.1 is not excepted from it.",
      meaning:
        "A browser may send what is for this computer itself to the proxy, which does not find D-Sign.",
      action:
        "Add 127.0.0.1 and localhost to the exceptions of the proxy (NO_PROXY, “no proxy for”, “bypass for local addresses”).",
    },
    agent_not_running: {
      ok: "D-Sign is running.",
      seen: "D-Sign is not running.",
      meaning: "Web pages find nobody who could sign.",
      action:
        "Start D-Sign (double-click it, or: dsign agent). So that it starts by itself: dsign autostart enable",
    },
    agent_outdated: {
      ok: "The version that runs is this one.",
      seen: "Version {running} is running, but {installed} is installed.",
      meaning: "D-Sign was updated while it ran.",
      action: "End D-Sign and start it again, or log out and in.",
    },
    autostart_elsewhere: {
      ok: "What starts when you log in is this D-Sign, or nothing.",
      seen: "What starts when you log in ({place}) is another D-Sign, or one that has moved.",
      meaning: "After the next login an old version runs, or none.",
      action: "Set it right: dsign autostart enable",
    },
    local_certificate_untrusted: {
      ok: "Browsers trust the certificate of D-Sign, or it has none and needs none.",
      seen: "The certificate for wss on this computer is not trusted by: {stores}",
      meaning: "Pages that connect by wss cannot reach D-Sign in these browsers.",
      action: "Install it anew: dsign trust install. Then start the browser again.",
    },
    browser_policy_missing: {
      ok: "Browsers let the administrator's portals reach this computer.",
      seen: "{browser} has no policy that lets {origin} reach this computer.",
      meaning:
        "The browser asks each person for permission, and a person who says no cannot sign there.",
      action: "The administrator can allow it for all: dsign policy",
    },
    local_network_access_denied: {
      ok: "No site is forbidden to reach this computer.",
      seen: "In {browser}, {origin} is forbidden to reach programs on this computer.",
      meaning: "Somebody said no when the browser asked. The page cannot connect to D-Sign.",
      action:
        "Open the site, click the sign left of its address, and allow access to apps and services on this device (Local Network Access).",
    },
  },
};

/** What is said of one trouble. */
export interface TicketWords {
  /** Said when all is well. */
  ok: string;
  seen: string;
  meaning: string;
  action: string;
}

export interface DoctorWords {
  skipped: string;
  /** Headings of the printed report. */
  status: Record<keyof typeof en["status"], string>;
  meaning: string;
  action: string;
  allWell: string;
  fixed: string;
  tickets: Record<keyof typeof en["tickets"], TicketWords>;
}
