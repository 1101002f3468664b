/** English: `dsign doctor`. The other languages follow this table; code fills in `{name}`. */
export const en = {
  skipped: "This was not checked, or there was nothing to check.",
  status: { ok: "OK", warning: "Warning", error: "Error", skipped: "Skipped" },
  meaning: "Meaning",
  action: "What to do",
  allWell: "No problems found. D-Sign is ready to sign.",
  fixed: "Fixed",
  tickets: {
    policy_refused: {
      ok: "The administrator's policy is valid, or there is none.",
      seen: "D-Sign rejects the administrator's policy: {error}",
      meaning:
        "The policy is damaged, or others could have changed it. D-Sign does not start with such a policy, because it could allow what the administrator has forbidden.",
      action:
        "Ask the administrator to correct {path}. The file must belong to the administrator, and nobody else may be able to write to it.",
    },
    configuration_wrong: {
      ok: "The configuration is valid.",
      seen: "The configuration cannot be read: {error}",
      meaning: "D-Sign does not start with a wrong configuration.",
      action: "Fix {path}, or move it away to use the defaults.",
    },
    profile_not_writable: {
      ok: "D-Sign can write to its folders.",
      seen: "D-Sign cannot write to {path}: {error}",
      meaning:
        "D-Sign cannot store its settings or the sites that you allowed. Often it was once started as administrator, and its files now belong to the administrator.",
      action:
        "Make the folder yours again (Linux and macOS: sudo {mend} '{folder}'), or ask the administrator.",
    },
    disk_full: {
      ok: "There is enough space on the disk.",
      seen: "Only {free} MB are free on the disk that holds {path}.",
      meaning: "On a full disk D-Sign cannot store anything, including signed documents.",
      action: "Free some space: empty the trash, delete files that you do not need.",
    },
    clock_wrong: {
      ok: "The clock agrees with the files on this computer.",
      seen: "The clock says {now}, but {evidence} is from {then}.",
      meaning:
        "The clock is slow. Signatures get a wrong time, and certificates seem not to be valid yet.",
      action:
        "Set the date, time and time zone, and let the system set them from the network. If the clock is wrong after every start, the battery on the mainboard is empty.",
    },
    driver_missing: {
      ok: "A token driver is installed.",
      seen: "No token driver was found.",
      meaning: "Programs can use a token only through its manufacturer's driver.",
      action:
        "Install the driver that came with your token, or get it from the manufacturer or from the issuer of your token. If it is in an unusual place: dsign modules add PATH",
    },
    driver_path_wrong: {
      ok: "Every configured driver exists.",
      seen: "The configured driver {driver} does not exist.",
      meaning: "The driver was removed or moved, or its path is misspelled.",
      action:
        "Install the driver again, or remove it from the configuration: dsign modules remove '{driver}'",
    },
    driver_wrong_architecture: {
      ok: "Every driver fits this computer.",
      seen: "{driver} was built for {built}. This computer needs {needed}.",
      meaning:
        "The driver cannot be loaded because it is for another kind of processor, often an old 32-bit one.",
      action: "Install the {needed} (64-bit) driver from the token's manufacturer.",
    },
    driver_service_missing: {
      ok: "The services that the drivers need are running.",
      seen: "The service {service}, which the driver {driver} needs, is not running.",
      meaning:
        "The driver works, but it reaches cards and tokens only through this service, so it finds none.",
      action: "Ask the administrator to install and start it. With systemd: {start}",
    },
    driver_broken: {
      ok: "Every driver works.",
      seen: "{driver}: {error}",
      meaning:
        "The driver cannot be used, so its tokens are not found. Other drivers are not affected.",
      action:
        "If its token is a USB token or a card, insert it again. If that does not help, install the manufacturer's newest driver. For details: dsign modules test '{driver}'",
    },
    key_file_broken: {
      ok: "Every key file can be read.",
      seen: "The key file {path} cannot be used: {error}",
      meaning: "The key in it is not offered. Tokens and other key files are not affected.",
      action:
        "Export the key again from the program that it came from, and add the new file in D-Sign's console. Remove the old file there.",
    },
    token_not_forwarded: {
      ok: "You work at this computer itself, or a token has reached your remote session.",
      seen: "You work here through a remote connection ({session}), and no token has reached it.",
      meaning:
        "D-Sign and the token's driver look for the token where your session runs, not at the computer in front of you.",
      action:
        "Turn on the forwarding of smart cards or USB devices in the settings of the remote desktop, then connect again. If your browser runs on the computer in front of you, use D-Sign there.",
    },
    provider_broken: {
      ok: "Every provider that the Windows certificate store names can be used.",
      seen: "{driver}: {error}",
      meaning:
        "Certificates in the Windows certificate store have their keys with this provider, and cannot sign. Other tokens are not affected.",
      action:
        "If you need such a certificate, install the current driver of its token's manufacturer. If the token is no longer yours, delete the certificate: press Windows+R, type certmgr.msc, and look under Personal.",
    },
    token_missing: {
      ok: "A token is inserted.",
      seen: "No token was found.",
      meaning: "The token is not inserted, or the installed driver is for another token.",
      action:
        "Insert the token, wait until its light is steady, and try another USB socket without a hub. If it is inserted, install the driver of exactly this token.",
    },
    token_not_initialised: {
      ok: "No inserted token is empty.",
      seen: "A token of the driver {driver} is empty: it has never been initialised.",
      meaning: "It holds no certificate and has no PIN.",
      action:
        "Give it to the issuer of your certificate. Initialising a token deletes everything on it.",
    },
    pin_not_set: {
      ok: "Every token has a PIN.",
      seen: "The token {token} has no PIN yet.",
      meaning: "You cannot sign with it before you set a PIN.",
      action: "Set one with the program that came with the token.",
    },
    pin_locked: {
      ok: "No PIN is locked.",
      seen: "The PIN of the token {token} is locked.",
      meaning: "A wrong PIN was typed too often. Now the token refuses even the right one.",
      action:
        "The token's issuer can unlock it with the PUK or SO PIN. D-Sign cannot; it has not tried any PIN.",
    },
    pin_last_try: {
      ok: "No PIN is down to its last try.",
      seen: "The token {token} reports one try left for its PIN.",
      meaning: "One more wrong PIN locks it.",
      action: "Type the PIN only if you are sure of it. Otherwise ask the token's issuer.",
    },
    pin_few_tries: {
      ok: "No wrong PIN was typed recently.",
      seen: "The token {token} reports a wrong PIN since the last right one.",
      meaning: "Only a few tries are left. The right PIN resets the counter.",
      action: "Type the PIN with care; check Caps Lock and Num Lock first.",
    },
    pin_default: {
      ok: "No token asks for its initial PIN to be changed.",
      seen: "The token {token} reports that it still has the manufacturer's initial PIN.",
      meaning: "Others may know this PIN. Some tokens do not sign until it is changed.",
      action:
        "Change it with the program that came with the token. (D-Sign read this from the token; it has not tried any PIN.)",
    },
    certificate_hidden: {
      ok: "No token hides its certificates.",
      seen: "The token {token} shows no certificate before its PIN or password.",
      meaning:
        "Some tokens and most key files are like that; D-Sign asks when you sign. Or there is no certificate on it yet.",
      action:
        "Press “Unlock” beside the token in D-Sign's console, or run: dsign tokens unlock. If no certificate appears, download yours to the token as your Certifying Authority describes.",
    },
    certificate_unreadable: {
      ok: "Every certificate on the tokens can be read.",
      seen: "A certificate on the token {token} cannot be read.",
      meaning: "It is damaged, or the driver fails to read it. D-Sign does not offer it.",
      action:
        "Insert the token again. If that does not help, ask the issuer of your certificate to put it on the token again.",
    },
    certificate_missing: {
      ok: "There is a certificate on the token.",
      seen: "There is no certificate on the token {token}.",
      meaning: "It has not been downloaded to the token yet, or it is on another token.",
      action:
        "Insert the token that holds it, or download it to this one as your Certifying Authority describes.",
    },
    certificate_encryption_only: {
      ok: "There is a certificate for signing.",
      seen:
        "No certificate on the token {token} is for signing documents, only for encryption or other uses.",
      meaning:
        "Certifying Authorities issue two certificates; the one for encryption must not be used to sign.",
      action: "Download the signing certificate too, or use the token that holds it.",
    },
    certificate_not_yet_valid: {
      ok: "Every certificate's validity has begun.",
      seen: "The certificate of {name} is not valid before {date}.",
      meaning: "It was just issued, or this computer's clock is slow.",
      action: "Check the date and time of this computer. If they are right, wait until that day.",
    },
    certificate_expired: {
      ok: "A certificate for signing is valid.",
      seen: "The certificate of {name} expired on {date}.",
      meaning: "Nobody accepts new signatures made with it. Earlier signatures are not affected.",
      action: "Renew it with your Certifying Authority and download the new one to the token.",
    },
    chain_incomplete: {
      ok: "The issuers' certificates were found.",
      seen: "The certificate of the issuer {issuer} is missing from the token {token}.",
      meaning:
        "You can sign without it, but some recipients cannot follow the chain to the root certificate and see an unknown signer.",
      action:
        "Add the Certifying Authority's certificates to the token with the token's program, or install the chain that the authority offers.",
    },
    port_taken: {
      ok: "A port is free for D-Sign, or D-Sign is using it.",
      seen: "Other programs use all of D-Sign's ports ({ports}).",
      meaning: "D-Sign cannot start, so portals cannot reach it.",
      action:
        'Close the other program, or set other "ports" in the configuration and tell the portal\'s operators.',
    },
    port_earlier_taken: {
      ok: "No other program has a port that comes before D-Sign's.",
      seen:
        "Port {port}, which comes before D-Sign's, is taken by the program {program} of the user {user}.",
      meaning:
        "The program can pose as D-Sign to sites that this browser visits for the first time. Sites that know D-Sign are not fooled.",
      action: "Close the program, unless you know why it is there. Then restart D-Sign.",
    },
    loopback_missing: {
      ok: "This computer has the address 127.0.0.1.",
      seen: "This computer has no address 127.0.0.1 (IPv4 loopback).",
      meaning: "Browsers look for D-Sign at this address. D-Sign cannot start without it.",
      action:
        "Ask the administrator to add it: sudo ip link set lo up; sudo ip address add 127.0.0.1/8 dev lo",
    },
    loopback_blocked: {
      ok: "Programs on this computer can reach each other.",
      seen: "A connection from this computer to itself (127.0.0.1) failed: {error}",
      meaning: "A firewall or antivirus program blocks the way between the browser and D-Sign.",
      action: "Add D-Sign, or 127.0.0.1, to the exceptions of the firewall or antivirus program.",
    },
    proxy_in_the_way: {
      ok: "Browsers reach this computer without a proxy.",
      seen: "A proxy is configured ({setting}), without an exception for 127.0.0.1.",
      meaning:
        "A browser may send requests for this computer to the proxy, which cannot find D-Sign.",
      action:
        "Add 127.0.0.1 and localhost to the proxy's exceptions (NO_PROXY, “no proxy for”, “bypass for local addresses”).",
    },
    agent_not_running: {
      ok: "D-Sign is running.",
      seen: "D-Sign is not running.",
      meaning: "You cannot sign from any portal.",
      action:
        "Start D-Sign (double-click it, or run: dsign agent). To start it at login: dsign autostart enable",
    },
    agent_outdated: {
      ok: "The running version is the installed one.",
      seen: "Version {running} is running, but {installed} is installed.",
      meaning: "D-Sign was updated while it was running.",
      action: "Stop D-Sign and start it again, or log out and log in.",
    },
    autostart_elsewhere: {
      ok: "This D-Sign starts at login, or none does.",
      seen: "Another D-Sign, or one that has moved, starts at login ({place}).",
      meaning: "After the next login an old version will run, or none.",
      action: "Start this one instead: dsign autostart enable",
    },
    local_certificate_untrusted: {
      ok: "Browsers trust D-Sign's certificate, or it has none and needs none.",
      seen: "This computer's wss certificate is not trusted by: {stores}",
      meaning: "In these browsers, pages that connect by wss cannot reach D-Sign.",
      action: "Install it again: dsign trust install. Then restart the browser.",
    },
    browser_policy_missing: {
      ok: "Browsers let the administrator's portals reach this computer.",
      seen: "{browser} has no policy that lets {origin} reach this computer.",
      meaning: "The browser asks each person for permission. People who say no cannot sign there.",
      action: "The administrator can allow it for everyone: dsign policy",
    },
    browser_sandboxed: {
      ok: "No sandbox keeps a browser from the administrator's policies.",
      seen: "{browser} runs in a sandbox (Flatpak), which does not read this computer's policies.",
      meaning: "The browser asks each person whether a portal may reach D-Sign.",
      action:
        "Allow it when the browser asks, or use the same browser from the system's own packages.",
    },
    local_network_access_denied: {
      ok: "No site is blocked from reaching this computer.",
      seen: "{browser} blocks {origin} from reaching programs on this computer.",
      meaning: "Somebody said no when the browser asked. The page cannot connect to D-Sign.",
      action:
        "Open the site, click the icon left of its address, and allow access to apps and services on this device (Local Network Access).",
    },
  },
  /** What stands for the placeholders in the guide. */
  places: {
    browser: "browser",
    built: "processor",
    date: "date",
    driver: "driver",
    error: "reason",
    evidence: "file",
    folder: "folder",
    free: "number",
    installed: "version",
    issuer: "issuer",
    mend: "command",
    name: "name",
    needed: "processor",
    now: "time",
    origin: "site",
    path: "file",
    place: "place",
    ports: "ports",
    port: "port",
    program: "program",
    user: "user",
    running: "version",
    service: "service",
    session: "connection",
    setting: "setting",
    start: "command",
    stores: "browsers",
    then: "time",
    token: "token",
  },
  guide: {
    title: "When something does not work",
    intro:
      "`dsign doctor` finds out which of these problems you have, and says what it found, what that means and what to do. With `--fix` it fixes what it safely can. It never asks for a PIN and never tries one. The headings are the names that it and `dsign doctor --json` print. If it does not help, `dsign support` writes a file for the help desk, without names, numbers or documents.",
  },
};

/** What is said of one problem. */
export interface TicketWords {
  /** Said when there is no such problem. */
  ok: string;
  seen: string;
  meaning: string;
  action: string;
}

export interface DoctorWords {
  skipped: string;
  /** Headings of the printed report. */
  status: Record<keyof (typeof en)["status"], string>;
  meaning: string;
  action: string;
  allWell: string;
  fixed: string;
  tickets: Record<keyof (typeof en)["tickets"], TicketWords>;
  places: Record<keyof (typeof en)["places"], string>;
  guide: { title: string; intro: string };
}
