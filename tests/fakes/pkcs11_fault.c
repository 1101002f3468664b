/*
 * A PKCS#11 module that misbehaves on demand, around a real one.
 *
 *   PKCS11_FAULT_REAL     path of the real module
 *   PKCS11_FAULT_CONTROL  file that says what to do; read anew at every call
 *   PKCS11_FAULT_LOG      file that gets a line for every C_Login, with its user type, and every C_SetPIN
 *
 * One fault a line. F is a function's name, C_GetFunctionList too; numbers are hexadecimal.
 *
 *   crash F         write to address 0             hang F          never return
 *   exit F          end the process                rv F N          return N
 *   after F N       do it, then return N           once F N        return N from the second call on
 *   delay F N       wait N milliseconds first      noise F         print to standard output first
 *   skip F          do nothing, and succeed        thread F        wait, while another thread calls exit
 *   wrong F         succeed with impossible lengths, counts or sizes
 *   null F          NULL in the function list (the list itself for C_GetFunctionList)
 *   removed         the token is pulled out        blank           no label, serial, PIN flags
 *   slots           slot numbers far apart         twin            every token is there twice
 *   flags N         set these flags of the token   without N       the mechanism N is missing
 *   noflags N       clear these flags              label HEX       the token's label, in bytes
 *   growing         more slots than were counted   renumber        a slot has a new number each time
 *   endless         … each time that they are      restless        the token has another label each time
 *   over F N        sessions end with the N-th call of F, as if another program had closed them
 *   gone N          no slots after N lists         one-session     a second session is too many
 *   version N       of Cryptoki, in the list       fork            C_Initialize leaves a daemon behind
 *   upset HOW       C_Initialize meddles with the process: signals, close, stdout, null, stdin, nonblock, umask, flood
 *   attribute C:T N     reading the attribute T of an object of class C returns N
 *   value C:T HEX       … gives these bytes, - for none
 *   zeros C:T WHERE     … gives 32 zero bytes more, before or after
 *   longer C:T          … has 4 bytes more the second time that its length is asked for
 *   only HEX            the four above hold for objects with this CKA_ID only
 *   empty-first     the first search of a process finds nothing
 *   no-always       CKA_ALWAYS_AUTHENTICATE is an unknown attribute
 *   always          every key asks for a context-specific login (PIN 12345678)
 *   keypad          C_Login takes NULL and then knows the PIN 12345678 by itself
 *   hide            certificates are seen only after a login
 *   login-first     C_SetPIN wants a login
 *   no-login        there is no C_Login: sessions see the keys at once
 *   no-locking      C_Initialize takes no arguments
 *
 * Only C_GetFunctionList is exported.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long ulong_t;
typedef unsigned char byte_t;

typedef struct {
  byte_t version[2];
  void *fn[68];
} list_t;

typedef struct {
  ulong_t type;
  void *value;
  ulong_t length;
} attribute_t;

typedef struct {
  ulong_t type;
  void *parameter;
  ulong_t length;
} mechanism_t;

#define PIN "12345678"
#define PIN_LENGTH 8UL

/* Offsets in CK_TOKEN_INFO. */
enum { LABEL = 0, SERIAL = 80, TOKEN_FLAGS = 96, TOKEN_INFO_SIZE = 208 };
enum { LOGIN_REQUIRED = 4, PIN_FLAGS = 0x10000 | 0x20000 | 0x40000 };
enum {
  OK = 0, CERTIFICATE = 1, FUNCTION_NOT_SUPPORTED = 0x54, SESSION_COUNT = 0xb1, SESSION_HANDLE_INVALID = 0xb3, DEVICE_REMOVED = 0x32, ATTRIBUTE_TYPE_INVALID = 0x12, CANT_LOCK = 0x0a,
  MECHANISM_INVALID = 0x70, PIN_INCORRECT = 0xa0, NOT_LOGGED_IN = 0x101, NOT_PRESENT = 0xe0,
  BUFFER_TOO_SMALL = 0x150, CONTEXT_SPECIFIC = 2, ALWAYS_AUTHENTICATE = 0x202
};

static list_t *real;
static list_t fake;
static int searches, authenticated, lists, sessions, logged_in, hidden_search, ended, countdown;
static char word[64];

/* Finds a line that starts with these words; gives what follows, as a number, through `n`, and as it is in `word`. */
static int told(const char *kind, const char *name, ulong_t *n) {
  static char text[4096];
  const char *path = getenv("PKCS11_FAULT_CONTROL");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return 0;
  int found = 0;
  while (!found && fgets(text, sizeof text, file)) {
    char first[64] = "", second[64] = "", third[64] = "";
    int words = sscanf(text, "%63s %63s %63s", first, second, third);
    if (words < 1 || strcmp(first, kind)) continue;
    if (name && strcmp(second, name)) continue;
    const char *value = name ? third : second;
    if (n && name == NULL && *n && strtoul(value, NULL, 16) != *n) continue;
    if (n) *n = strtoul(value, NULL, 16);
    strcpy(word, value);
    found = 1;
  }
  fclose(file);
  return found;
}

static int is(const char *kind) { return told(kind, NULL, NULL); }

/* The bytes of `word`, from hex. */
static ulong_t bytes(byte_t *out) {
  ulong_t n = 0;
  unsigned byte;
  while (sscanf(word + 2 * n, "%2x", &byte) == 1) out[n++] = byte;
  return n;
}

static void *end(void *_) { exit(7); return _; }

/* What every function does first; not 0: return `*rv`. */
static int fault(const char *name, ulong_t *rv) {
  ulong_t n = 0;
  if (told("noise", name, NULL)) {
    printf("debug: entering %s \x01\x02\xff\n", name);
    fflush(stdout);
  }
  if (told("delay", name, &n)) {
    struct timespec t = { n / 1000, n % 1000 * 1000000 };
    nanosleep(&t, NULL);
  }
  if (told("crash", name, NULL)) *(volatile int *) 0 = 1;
  if (told("hang", name, NULL)) for (;;) pause();
  if (told("exit", name, NULL)) _exit(7);
  if (told("skip", name, NULL)) return *rv = OK, 1;
  if (told("thread", name, NULL)) {
    pthread_t thread;
    pthread_create(&thread, NULL, end, NULL);
    for (;;) pause();
  }
  if (told("once", name, rv)) {
    static int calls;
    return calls++ > 0;
  }
  return told("rv", name, rv);
}

/* What a function returns that has done its work. */
static ulong_t after(const char *name, ulong_t rv) {
  told("after", name, &rv);
  return rv;
}

/* Whether all sessions have ended; the next one is good again. */
static int over(const char *name) {
  if (told("over", name, NULL) && ++countdown == atoi(word)) ended = 1;
  if (!strcmp(name, "C_OpenSession")) ended = 0;
  return ended;
}

static void upset(void) {
  int null = open("/dev/null", O_RDWR);
  if (!told("upset", NULL, NULL)) return;
  if (!strcmp(word, "signals")) for (int i = 1; i < 32; i++) if (i != SIGSEGV) signal(i, SIG_IGN);
  if (!strcmp(word, "close")) close(0), close(1), close(2);
  if (!strcmp(word, "stdout")) close(1);
  if (!strcmp(word, "null")) dup2(null, 1);
  if (!strcmp(word, "stdin")) if (read(0, &null, 1) < 0) return;
  if (!strcmp(word, "nonblock")) fcntl(0, F_SETFL, O_NONBLOCK), fcntl(1, F_SETFL, O_NONBLOCK);
  if (!strcmp(word, "umask")) umask(0777);
  if (!strcmp(word, "flood")) for (int i = 0; i < 20000; i++) fputs("debug: a line that is long\n", i % 2 ? stdout : stderr);
  fflush(stdout);
}

#define CALL(index, ...) ((ulong_t (*)()) real->fn[index])(__VA_ARGS__)
#define BEGIN(name) \
  ulong_t rv; \
  if (fault(name, &rv)) return rv
#define SESSION_CALL(name) \
  BEGIN(name); \
  if (is("removed")) return DEVICE_REMOVED; \
  if (over(name)) return SESSION_HANDLE_INVALID

/* 8 slot numbers to each real one, so that there is room for twins. */
static ulong_t shown(ulong_t slot) {
  if (is("renumber")) return slot | (ulong_t) (lists / 2) << 40;
  return is("slots") || is("twin") ? slot * 8 + 5 : slot;
}
static ulong_t hidden(ulong_t slot) {
  if (is("renumber")) return slot & 0xffffffffff;
  return is("slots") || is("twin") ? slot / 8 : slot;
}

static ulong_t initialize(void *args) {
  /* The daemon holds the pipes of its parent until it is told otherwise. */
  if (is("fork") && fork() == 0) {
    while (is("fork")) nanosleep(&(struct timespec) { 0, 20000000 }, NULL);
    _exit(0);
  }
  BEGIN("C_Initialize");
  upset();
  if (args && is("no-locking")) return CANT_LOCK;
  return CALL(0, args);
}

static ulong_t get_info(void *info) {
  BEGIN("C_GetInfo");
  return CALL(2, info);
}

static ulong_t get_slot_list(byte_t present, ulong_t *slots, ulong_t *count) {
  BEGIN("C_GetSlotList");
  if (told("wrong", "C_GetSlotList", NULL)) return *count = ~0UL >> 1, OK;
  lists++;
  if (is("removed") || (told("gone", NULL, NULL) && lists > atoi(word))) return *count = 0, OK;
  ulong_t list[64], n = 64;
  rv = CALL(4, present, list, &n);
  if (rv != OK) return rv;
  ulong_t copies = is("twin") ? 2 : 1;
  if (!slots && is("growing")) return *count = n - 1, OK;
  if (is("endless")) return *count = slots ? *count + 1 : n, slots ? BUFFER_TOO_SMALL : OK;
  if (slots && *count < n * copies) return *count = n * copies, BUFFER_TOO_SMALL;
  for (ulong_t i = 0; slots && i < n * copies; i++) slots[i] = shown(list[i / copies]) + i % copies;
  *count = n * copies;
  return OK;
}

static ulong_t get_slot_info(ulong_t slot, void *info) {
  BEGIN("C_GetSlotInfo");
  return CALL(5, hidden(slot), info);
}

static ulong_t get_token_info(ulong_t slot, byte_t *info) {
  BEGIN("C_GetTokenInfo");
  if (is("removed")) return NOT_PRESENT;
  if (told("wrong", "C_GetTokenInfo", NULL)) return memset(info, 0xff, TOKEN_INFO_SIZE), OK;
  rv = CALL(6, hidden(slot), info);
  ulong_t flags, more = 0;
  memcpy(&flags, info + TOKEN_FLAGS, sizeof flags);
  if (is("blank")) {
    memset(info + LABEL, ' ', 32);
    memset(info + SERIAL, ' ', 16);
    flags &= ~(ulong_t) PIN_FLAGS;
  }
  if (is("keypad")) flags |= 0x100;
  if (told("flags", NULL, &more)) flags |= more;
  more = 0;
  if (told("noflags", NULL, &more)) flags &= ~more;
  if (is("no-login")) flags &= ~(ulong_t) LOGIN_REQUIRED;
  if (told("label", NULL, NULL)) {
    memset(info + LABEL, ' ', 32);
    bytes(info + LABEL);
  }
  if (is("restless")) {
    static int times;
    info[LABEL] = 'A' + times++ % 26;
  }
  memcpy(info + TOKEN_FLAGS, &flags, sizeof flags);
  return rv;
}

static ulong_t get_mechanism_list(ulong_t slot, ulong_t *list, ulong_t *count) {
  BEGIN("C_GetMechanismList");
  if (told("wrong", "C_GetMechanismList", NULL)) return *count = 0x40000000, OK;
  rv = CALL(7, hidden(slot), list, count);
  if (rv != OK || !list) return rv;
  ulong_t kept = 0;
  for (ulong_t i = 0; i < *count; i++) {
    ulong_t mechanism = list[i];
    if (!told("without", NULL, &mechanism)) list[kept++] = list[i];
  }
  *count = kept;
  return OK;
}

static ulong_t open_session(ulong_t slot, ulong_t flags, void *app, void *notify, void *session) {
  SESSION_CALL("C_OpenSession");
  if (is("one-session") && sessions > 0) return SESSION_COUNT;
  rv = CALL(12, hidden(slot), flags, app, notify, session);
  if (rv != OK) return rv;
  sessions++;
  if (is("no-login")) CALL(18, *(ulong_t *) session, 1UL, PIN, PIN_LENGTH);
  return OK;
}

static ulong_t close_session(ulong_t session) {
  BEGIN("C_CloseSession");
  rv = CALL(13, session);
  if (rv == OK) sessions--;
  return is("removed") ? DEVICE_REMOVED : after("C_CloseSession", rv);
}

static void note(const char *what) {
  const char *path = getenv("PKCS11_FAULT_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (!log) return;
  fprintf(log, "%s\n", what);
  fclose(log);
}

static ulong_t set_pin(ulong_t session, void *old, ulong_t n, void *new, ulong_t m) {
  note("C_SetPIN");
  SESSION_CALL("C_SetPIN");
  if (is("login-first") && !logged_in) return NOT_LOGGED_IN;
  return CALL(11, session, old, n, new, m);
}

static ulong_t login(ulong_t session, ulong_t user, void *pin, ulong_t length) {
  note(user == CONTEXT_SPECIFIC ? "2" : "1");
  SESSION_CALL("C_Login");
  if (is("no-login")) return FUNCTION_NOT_SUPPORTED;
  if (is("keypad") && !pin) return CALL(18, session, user, PIN, PIN_LENGTH);
  if (user != CONTEXT_SPECIFIC) {
    rv = CALL(18, session, user, pin, length);
    if (rv == OK) logged_in = 1;
    return after("C_Login", rv);
  }
  authenticated = length == PIN_LENGTH && !memcmp(pin, PIN, PIN_LENGTH);
  return authenticated ? OK : PIN_INCORRECT;
}

static ulong_t logout(ulong_t session) {
  SESSION_CALL("C_Logout");
  logged_in = 0;
  return after("C_Logout", CALL(19, session));
}

/* An attribute of one object as the control file has it; 0: as it is. */
static int changed(ulong_t session, ulong_t object, attribute_t *a, ulong_t *rv) {
  ulong_t class = 0;
  byte_t id[64], wanted[64], value[64];
  char name[64];
  attribute_t is_class = { 0, &class, sizeof class }, is_id = { 0x102, id, sizeof id };
  if (CALL(24, session, object, &is_class, 1) != OK) return 0;
  if (told("only", NULL, NULL)) {
    ulong_t n = bytes(wanted);
    if (CALL(24, session, object, &is_id, 1) != OK || is_id.length != n || memcmp(id, wanted, n)) return 0;
  }
  snprintf(name, sizeof name, "%lx:%lx", class, a->type);
  if (told("attribute", name, rv)) return a->length = ~0UL, 1;
  if (told("value", name, NULL)) {
    a->length = bytes(value);
    if (a->value) memcpy(a->value, value, a->length);
    return *rv = OK, 1;
  }
  if (told("longer", name, NULL) && !a->value) {
    static int asked;
    *rv = CALL(24, session, object, a, 1);
    if (asked++ % 2 == 0) a->length -= 4;
    return 1;
  }
  if (told("zeros", name, NULL)) {
    enum { ZEROS = 32 };
    static byte_t longer[65536];
    int before = !strcmp(word, "before");
    attribute_t own = { a->type, longer + (before ? ZEROS : 0), sizeof longer - 2 * ZEROS };
    memset(longer, 0, sizeof longer);
    *rv = CALL(24, session, object, &own, 1);
    a->length = own.length + ZEROS;
    if (a->value) memcpy(a->value, longer, a->length);
    return 1;
  }
  return 0;
}

static ulong_t get_attribute_value(ulong_t session, ulong_t object, attribute_t *a, ulong_t n) {
  SESSION_CALL("C_GetAttributeValue");
  if (told("wrong", "C_GetAttributeValue", NULL)) return a->length = 1UL << 40, OK;
  if (n == 1 && changed(session, object, a, &rv)) return rv;
  if (n == 1 && a->type == ALWAYS_AUTHENTICATE) {
    if (is("no-always")) return a->length = ~0UL, ATTRIBUTE_TYPE_INVALID;
    if (is("always")) {
      a->length = 1;
      if (a->value) *(byte_t *) a->value = 1;
      return OK;
    }
  }
  return CALL(24, session, object, a, n);
}

static ulong_t find_objects_init(ulong_t session, attribute_t *attributes, ulong_t n) {
  SESSION_CALL("C_FindObjectsInit");
  searches++;
  hidden_search = is("hide") && !logged_in && n == 1 && *(ulong_t *) attributes->value == CERTIFICATE;
  return CALL(26, session, attributes, n);
}

static ulong_t find_objects_final(ulong_t session) {
  SESSION_CALL("C_FindObjectsFinal");
  return after("C_FindObjectsFinal", CALL(28, session));
}

static ulong_t get_session_info(ulong_t session, void *info) {
  SESSION_CALL("C_GetSessionInfo");
  return CALL(15, session, info);
}

static ulong_t find_objects(ulong_t session, ulong_t *objects, ulong_t max, ulong_t *count) {
  SESSION_CALL("C_FindObjects");
  if (told("wrong", "C_FindObjects", NULL)) return *count = max * 1000, OK;
  if (hidden_search) return *count = 0, OK;
  if (is("empty-first") && searches == 1) return *count = 0, OK;
  return CALL(27, session, objects, max, count);
}

static ulong_t sign_init(ulong_t session, mechanism_t *mechanism, ulong_t key) {
  SESSION_CALL("C_SignInit");
  ulong_t type = mechanism->type;
  if (told("without", NULL, &type)) return MECHANISM_INVALID;
  authenticated = 0;
  return CALL(42, session, mechanism, key);
}

static ulong_t sign(ulong_t session, void *data, ulong_t n, void *signature, ulong_t *length) {
  SESSION_CALL("C_Sign");
  if (is("always") && !authenticated) return NOT_LOGGED_IN;
  rv = CALL(43, session, data, n, signature, length);
  if (told("wrong", "C_Sign", NULL)) *length = 17;
  return rv;
}

static const struct {
  int index;
  const char *name;
  void *fn;
} overrides[] = {
  { 0, "C_Initialize", initialize },
  { 2, "C_GetInfo", get_info },
  { 4, "C_GetSlotList", get_slot_list },
  { 5, "C_GetSlotInfo", get_slot_info },
  { 6, "C_GetTokenInfo", get_token_info },
  { 7, "C_GetMechanismList", get_mechanism_list },
  { 11, "C_SetPIN", set_pin },
  { 12, "C_OpenSession", open_session },
  { 13, "C_CloseSession", close_session },
  { 15, "C_GetSessionInfo", get_session_info },
  { 18, "C_Login", login },
  { 19, "C_Logout", logout },
  { 24, "C_GetAttributeValue", get_attribute_value },
  { 26, "C_FindObjectsInit", find_objects_init },
  { 27, "C_FindObjects", find_objects },
  { 28, "C_FindObjectsFinal", find_objects_final },
  { 42, "C_SignInit", sign_init },
  { 43, "C_Sign", sign },
};

__attribute__((visibility("default"))) ulong_t C_GetFunctionList(list_t **out) {
  BEGIN("C_GetFunctionList");
  *out = NULL;
  if (told("null", "C_GetFunctionList", NULL)) return OK;
  void *library = dlopen(getenv("PKCS11_FAULT_REAL"), RTLD_NOW | RTLD_LOCAL);
  ulong_t (*get)(list_t **) = library ? dlsym(library, "C_GetFunctionList") : NULL;
  if (!get || get(&real) != OK) return 6;
  fake = *real;
  ulong_t version = 0;
  if (told("version", NULL, &version)) fake.version[0] = version;
  for (size_t i = 0; i < sizeof overrides / sizeof *overrides; i++) {
    int null = told("null", overrides[i].name, NULL);
    fake.fn[overrides[i].index] = null ? NULL : overrides[i].fn;
  }
  *out = &fake;
  return OK;
}
