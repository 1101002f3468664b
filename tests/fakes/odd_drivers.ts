/** Drivers that behave oddly, by the faults of pkcs11_fault.c: each of one token with an RSA key and an EC key. */

/** One driver, and what a person gets from it. */
export interface OddDriver {
  /** Completes "a driver that …". */
  name: string;
  /** As in tests/fakes/pkcs11_fault.c. */
  faults: string[];
  /** Labels of the token; the one it was given by default. */
  label?: string;
  /** What becomes of a signature with the RSA key and the EC key: that of keys that are not listed is null. */
  signs?: [rsa: string | null, ec: string | null];
  /** Certificates that are listed, but cannot be read. */
  unreadable?: number;
  /** The listing's. */
  problems?: string[];
  /** What it tells is another thing from one moment to the next, so that only a signature's absence is sure. */
  fleeting?: true;
  /** How often the PIN is asked for; once a signature by default. */
  asked?: number;
}

/** The signature was made, and verifies. */
export const OK = "ok";
const LOST: OddDriver["signs"] = [null, null];

export const ODD_DRIVERS: readonly OddDriver[] = [
  { name: "an ordinary driver", faults: [] },

  // The process
  { name: "leaves a daemon behind, which holds the pipes", faults: ["fork"] },
  {
    name: "leaves a daemon behind, and crashes",
    faults: ["fork", "crash C_Initialize"],
    signs: LOST,
    problems: ["driver_crashed"],
  },
  {
    name: "ends the process",
    faults: ["exit C_Initialize"],
    signs: LOST,
    problems: ["driver_crashed"],
  },
  { name: "ignores signals", faults: ["upset signals"] },
  {
    name: "closes standard input and output",
    faults: ["upset close"],
    signs: LOST,
    problems: ["driver_crashed"],
  },
  {
    name: "closes standard output",
    faults: ["upset stdout"],
    signs: LOST,
    problems: ["driver_timeout"],
  },
  {
    name: "sends standard output away",
    faults: ["upset null"],
    signs: LOST,
    problems: ["driver_timeout"],
  },
  {
    name: "reads from standard input",
    faults: ["upset stdin"],
    signs: LOST,
    problems: ["driver_timeout"],
  },
  { name: "makes standard input and output non-blocking", faults: ["upset nonblock"] },
  { name: "changes the umask", faults: ["upset umask"] },
  { name: "prints a flood", faults: ["upset flood"] },
  {
    name: "misses a file or a variable that it needs",
    faults: ["rv C_Initialize 5"],
    signs: LOST,
    problems: ["driver_error"],
  },
  { name: "is of Cryptoki 3.0", faults: ["version 3"] },
  { name: "cannot describe itself", faults: ["null C_GetInfo"] },
  {
    name: "has a thread that ends the process at a login",
    faults: ["thread C_Login"],
    signs: ["driver_crashed", "driver_crashed"],
  },
  {
    name: "has a thread that ends the process while it signs",
    faults: ["thread C_Sign"],
    signs: ["driver_crashed", "driver_crashed"],
  },

  // Slots and tokens
  { name: "finds one slot more than it had counted", faults: ["growing"] },
  {
    name: "finds more slots each time that they are counted",
    faults: ["endless"],
    signs: LOST,
    problems: ["driver_error"],
  },
  {
    name: "says that a PIN is wrong when it is asked for slots",
    faults: ["rv C_GetSlotList a0"],
    signs: LOST,
    problems: ["driver_error"],
  },
  {
    name: "says that the person declined when a session is opened",
    faults: ["rv C_OpenSession 50"],
    signs: LOST,
    problems: ["driver_error"],
  },
  {
    name: "gives the token another label each time",
    faults: ["restless"],
    signs: LOST,
    problems: ["token_not_present"],
    fleeting: true,
  },
  { name: "sets flags that nobody knows", faults: ["flags ffffffff00000000"] },
  { name: "has slot numbers far apart", faults: ["slots"] },
  { name: "numbers its slots anew each time", faults: ["renumber"] },
  {
    name: "loses the token after it was listed",
    faults: ["gone 2"],
    fleeting: true,
    signs: LOST,
    problems: ["token_not_present"],
  },
  {
    name: "fails at the token's description",
    faults: ["rv C_GetTokenInfo 80000123"],
    signs: LOST,
    problems: ["driver_error"],
  },
  { name: "pads the label with NUL", faults: ["label 416e69746100000000"], label: "Anita" },
  { name: "writes the label in Latin-1", faults: ["label 5065f161"], label: "Pe\ufffda" },
  { name: "writes the label in Bengali", faults: ["label e0a685e0a6a8e0a6bf"], label: "অনি" },
  { name: "cuts the label within a character", faults: ["label e0a685e0a6"], label: "অ\ufffd" },
  {
    name: "has an escape sequence in the label",
    faults: ["label 1b5b33316d580a0d093b252f3f"],
    label: "\x1b[31mX\n\r\t;%/?",
  },
  { name: "tells neither label nor serial number", faults: ["blank"] },

  // Sessions and logins
  { name: "has room for one session", faults: ["one-session"] },
  {
    name: "has no room for a session",
    faults: ["rv C_OpenSession b1"],
    signs: LOST,
    problems: ["driver_error"],
  },
  { name: "fails at C_CloseSession", faults: ["after C_CloseSession 80000099"] },
  { name: "fails at C_Logout", faults: ["after C_Logout 5"] },
  {
    name: "fails at C_Logout and C_CloseSession, without doing either",
    faults: ["rv C_CloseSession 5", "rv C_Logout 5"],
  },
  { name: "knows no login", faults: ["no-login"], asked: 0 },
  { name: "knows no login, and has no C_Login", faults: ["no-login", "null C_Login"], asked: 0 },
  {
    name: "does not tell that it wants a login",
    faults: ["noflags 4"],
  },
  { name: "logs in, and says that the user was already", faults: ["after C_Login 100"] },
  {
    name: "says that the user was logged in, and did nothing",
    faults: ["rv C_Login 100"],
    signs: ["driver_error", "driver_error"],
  },
  {
    name: "does nothing at a login",
    faults: ["skip C_Login"],
    signs: ["key_not_found", "key_not_found"],
  },
  {
    name: "loses its sessions to another program",
    faults: ["over C_SignInit 1"],
    signs: ["token_removed", OK],
  },
  {
    name: "fails at C_Login",
    faults: ["rv C_Login 80000042"],
    signs: ["driver_error", "driver_error"],
  },

  // Certificates
  {
    name: "cannot read one of two certificates",
    faults: ["attribute 1:11 30", "only 01"],
    signs: [null, OK],
    unreadable: 1,
  },
  {
    name: "fails at one of two certificates in its own way",
    faults: ["attribute 1:11 80000001", "only 02"],
    signs: [OK, null],
    unreadable: 1,
  },
  {
    name: "cannot read any certificate",
    faults: ["attribute 1:11 30"],
    signs: LOST,
    problems: ["driver_error"],
  },
  {
    name: "has something else in the place of one certificate",
    faults: ["value 1:11 ffffffff", "only 01"],
    signs: [null, OK],
    unreadable: 1,
  },
  { name: "has certificates that grow while they are read", faults: ["longer 1:11"] },
  { name: "pads certificates with zeros", faults: ["zeros 1:11 after"] },
  {
    name: "keeps one certificate elsewhere",
    faults: ["value 1:11 -", "only 01"],
    signs: [null, OK],
  },
  { name: "fails at a certificate's label", faults: ["attribute 1:3 5"] },
  { name: "finds nothing in its first search", faults: ["empty-first"] },

  // Keys
  { name: "keeps the modulus to itself", faults: ["attribute 3:120 12"] },
  { name: "fails at the modulus", faults: ["attribute 3:120 5"] },
  { name: "has zeros before the modulus", faults: ["zeros 3:120 before"] },
  { name: "keeps the curve to itself", faults: ["attribute 3:180 12"] },
  { name: "tells the curve by its name", faults: ["value 3:180 130a7072696d65323536763100"] },
  { name: "gives keys no CKA_ID", faults: ["value 3:102 -"] },
  {
    name: "gives keys another CKA_ID than certificates",
    faults: ["value 3:102 77"],
    signs: [OK, "key_not_found"],
  },
  {
    name: "says that its keys do not sign",
    faults: ["value 3:108 00"],
    signs: ["mechanism_unsupported", "mechanism_unsupported"],
  },
  { name: "has a strange CK_TRUE", faults: ["value 3:108 ff"] },
  { name: "does not know CKA_ALWAYS_AUTHENTICATE", faults: ["no-always"] },
  { name: "calls CKA_ALWAYS_AUTHENTICATE sensitive", faults: ["attribute 3:202 11"] },
  { name: "fails at CKA_ALWAYS_AUTHENTICATE", faults: ["attribute 3:202 5"] },
  { name: "calls the request for CKA_ALWAYS_AUTHENTICATE wrong", faults: ["attribute 3:202 7"] },
  { name: "asks for the PIN at every signature", faults: ["always"], asked: 4 },
  { name: "fails at a key's label", faults: ["attribute 3:3 5"] },
  {
    name: "signs once a login",
    faults: ["once C_Sign 101"],
    signs: [OK, "driver_error"],
  },
  {
    name: "fails at C_Sign",
    faults: ["rv C_Sign 80000777"],
    signs: ["driver_error", "driver_error"],
  },
  {
    name: "says that it has signed, and has not",
    faults: ["skip C_Sign"],
    signs: ["signature_invalid", "signature_invalid"],
  },
  {
    name: "gives too short a signature",
    faults: ["wrong C_Sign"],
    signs: ["driver_error", "driver_error"],
  },
];
