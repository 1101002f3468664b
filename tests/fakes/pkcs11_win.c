/*
 * A PKCS#11 driver for Windows with one RSA-2048 token: laid out as PKCS#11 v2.40 §2.1 wants it there, by the
 * compiler alone. With -DUNPACKED it is laid out wrongly, as a driver for another system would be.
 *
 * key.h, made by pkcs11_win.ts, holds the key (N, E, D) and the certificate (CERTIFICATE), each as bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"

typedef unsigned long CK_ULONG; /* Windows' own: four bytes */
typedef unsigned char CK_BYTE;
_Static_assert(sizeof(CK_ULONG) == 4, "CK_ULONG");

#ifndef UNPACKED
#pragma pack(push, 1)
#endif
typedef struct { CK_BYTE major, minor; } CK_VERSION;
typedef struct {
  CK_VERSION cryptoki;
  CK_BYTE manufacturer[32];
  CK_ULONG flags;
  CK_BYTE description[32];
  CK_VERSION library;
} CK_INFO;
typedef struct {
  CK_BYTE description[64], manufacturer[32];
  CK_ULONG flags;
  CK_VERSION hardware, firmware;
} CK_SLOT_INFO;
typedef struct {
  CK_BYTE label[32], manufacturer[32], model[16], serial[16];
  CK_ULONG flags, max_sessions, sessions, max_rw_sessions, rw_sessions, max_pin, min_pin;
  CK_ULONG total_public, free_public, total_private, free_private;
  CK_VERSION hardware, firmware;
  CK_BYTE time[16];
} CK_TOKEN_INFO;
typedef struct { CK_ULONG type; void *value; CK_ULONG length; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; void *parameter; CK_ULONG length; } CK_MECHANISM;
typedef struct { void *create, *destroy, *lock, *unlock; CK_ULONG flags; void *reserved; } CK_INIT_ARGS;
typedef struct { CK_VERSION version; void *functions[68]; } CK_FUNCTION_LIST;
#ifndef UNPACKED
#pragma pack(pop)
_Static_assert(sizeof(CK_INFO) == 72, "CK_INFO");
_Static_assert(sizeof(CK_SLOT_INFO) == 104, "CK_SLOT_INFO");
_Static_assert(sizeof(CK_TOKEN_INFO) == 160, "CK_TOKEN_INFO");
_Static_assert(sizeof(CK_ATTRIBUTE) == 16, "CK_ATTRIBUTE");
_Static_assert(offsetof(CK_FUNCTION_LIST, functions) == 2, "CK_FUNCTION_LIST");
#endif

enum { OK = 0, ARGUMENTS_BAD = 7, ATTRIBUTE_TYPE_INVALID = 0x12, ATTRIBUTE_SENSITIVE = 0x11 };
enum { DATA_LEN_RANGE = 0x21, KEY_HANDLE_INVALID = 0x60, MECHANISM_INVALID = 0x70 };
enum { NOT_INITIALIZED = 0x91, PIN_INCORRECT = 0xa0, SESSION_HANDLE_INVALID = 0xb3 };
enum { USER_NOT_LOGGED_IN = 0x101, BUFFER_TOO_SMALL = 0x150, CRYPTOKI_NOT_INITIALIZED = 0x190 };

/* High bits, so that a handle read with the wrong width is another one. */
enum { SLOT = 0x1234567, SESSION = 0x7fedcba9, CERTIFICATE_OBJECT = 0x700000c1, KEY_OBJECT = 0x700000c2 };
#define BYTES (sizeof N)

static int initialized, logged_in, open, signing, finding;
static CK_ULONG wanted_class;

static void pad(CK_BYTE *field, size_t size, const char *text) {
  memset(field, ' ', size);
  memcpy(field, text, strlen(text));
}
#define PAD(field, text) pad(field, sizeof(field), text)

/* Numbers modulo N as words, least first. */
#define WORDS (BYTES / 4)
static uint32_t modulus[WORDS];

static void load(uint32_t *words, const CK_BYTE *bytes) {
  for (size_t i = 0; i < WORDS; i++) {
    const CK_BYTE *at = bytes + BYTES - 4 * (i + 1);
    words[i] = (uint32_t) at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
  }
}

/* a = 2a + bit mod N. Bit by bit, and slow; the test signs a few times. */
static void twice(uint32_t *a, uint32_t carry) {
  for (size_t i = 0; i < WORDS; i++) {
    uint32_t top = a[i] >> 31;
    a[i] = a[i] << 1 | carry;
    carry = top;
  }
  int larger = carry;
  if (!larger) {
    size_t i = WORDS;
    while (i > 0 && a[i - 1] == modulus[i - 1]) i--;
    larger = i == 0 || a[i - 1] > modulus[i - 1];
  }
  if (!larger) return;
  uint64_t borrow = 0;
  for (size_t i = 0; i < WORDS; i++) {
    uint64_t difference = (uint64_t) a[i] - modulus[i] - borrow;
    a[i] = (uint32_t) difference;
    borrow = difference >> 63;
  }
}

/* result = a · b mod N, by schoolbook multiplication and reduction from the top */
static void multiply(uint32_t *result, const uint32_t *a, const uint32_t *b) {
  uint32_t product[2 * WORDS] = { 0 };
  for (size_t i = 0; i < WORDS; i++) {
    uint64_t carry = 0;
    for (size_t j = 0; j < WORDS; j++) {
      carry += (uint64_t) a[i] * b[j] + product[i + j];
      product[i + j] = (uint32_t) carry;
      carry >>= 32;
    }
    product[i + WORDS] = (uint32_t) carry;
  }
  uint32_t rest[WORDS] = { 0 };
  for (size_t bit = 64 * WORDS; bit-- > 0;) twice(rest, product[bit / 32] >> bit % 32 & 1);
  memcpy(result, rest, sizeof rest);
}

static void power(CK_BYTE *out, const CK_BYTE *in) {
  uint32_t base[WORDS], result[WORDS] = { 1 };
  load(modulus, N);
  load(base, in);
  for (size_t bit = 0; bit < 8 * BYTES; bit++) {
    multiply(result, result, result);
    if (D[bit / 8] >> (7 - bit % 8) & 1) multiply(result, result, base);
  }
  for (size_t i = 0; i < BYTES; i++) out[BYTES - 1 - i] = (CK_BYTE) (result[i / 4] >> 8 * (i % 4));
}

static CK_ULONG Initialize(CK_INIT_ARGS *args) {
  if (!args || args->flags != 2 /* CKF_OS_LOCKING_OK */ || args->reserved || args->create) return ARGUMENTS_BAD;
  initialized = 1;
  return OK;
}

static CK_ULONG GetInfo(CK_INFO *info) {
  memset(info, 0, sizeof *info);
  info->cryptoki = (CK_VERSION) { 2, 40 };
  PAD(info->manufacturer, "D-Sign tests");
  PAD(info->description, "Driver laid out for Windows");
  info->library = (CK_VERSION) { 3, 7 };
  return initialized ? OK : CRYPTOKI_NOT_INITIALIZED;
}

static CK_ULONG GetSlotList(CK_BYTE present, CK_ULONG *list, CK_ULONG *count) {
  (void) present;
  if (list && *count < 1) return BUFFER_TOO_SMALL;
  if (list) list[0] = SLOT;
  *count = 1;
  return OK;
}

static CK_ULONG GetSlotInfo(CK_ULONG slot, CK_SLOT_INFO *info) {
  if (slot != SLOT) return 3; /* CKR_SLOT_ID_INVALID */
  PAD(info->description, "Reader under Wine");
  PAD(info->manufacturer, "Reader maker");
  info->flags = 7;
  return OK;
}

static CK_ULONG GetTokenInfo(CK_ULONG slot, CK_TOKEN_INFO *info) {
  if (slot != SLOT) return 3;
  memset(info, 0, sizeof *info);
  PAD(info->label, "Windows token");
  PAD(info->manufacturer, "D-Sign tests");
  PAD(info->model, "LLP64 packed");
  PAD(info->serial, "0123456789ABCDEF");
  info->flags = 0x40d | (logged_in < 0 ? 0x10000 : 0); /* after a wrong PIN, CKF_USER_PIN_COUNT_LOW */
  info->max_pin = 15;
  info->min_pin = 6;
  info->total_public = (CK_ULONG) -1;
  return OK;
}

static CK_ULONG GetMechanismList(CK_ULONG slot, CK_ULONG *list, CK_ULONG *count) {
  if (slot != SLOT) return 3;
  if (list) list[0] = 1; /* CKM_RSA_PKCS */
  *count = 1;
  return OK;
}

static CK_ULONG OpenSession(CK_ULONG slot, CK_ULONG flags, void *a, void *b, CK_ULONG *session) {
  if (slot != SLOT || !(flags & 4) || a || b) return ARGUMENTS_BAD;
  open++;
  *session = SESSION;
  return OK;
}

static CK_ULONG CloseSession(CK_ULONG session) {
  if (session != SESSION || open == 0) return SESSION_HANDLE_INVALID;
  open--;
  return OK;
}

static CK_ULONG Login(CK_ULONG session, CK_ULONG user, CK_BYTE *pin, CK_ULONG length) {
  if (session != SESSION) return SESSION_HANDLE_INVALID;
  if (user != 1) return 0x103; /* CKR_USER_TYPE_INVALID */
  logged_in = length == 8 && memcmp(pin, "12345678", 8) == 0 ? 1 : -1;
  return logged_in == 1 ? OK : PIN_INCORRECT;
}

static CK_ULONG Logout(CK_ULONG session) {
  if (session != SESSION) return SESSION_HANDLE_INVALID;
  logged_in = 0;
  return OK;
}

static CK_ULONG attribute(CK_ATTRIBUTE *wanted, const void *value, CK_ULONG length) {
  if (wanted->value) {
    if (wanted->length < length) return BUFFER_TOO_SMALL;
    memcpy(wanted->value, value, length);
  }
  wanted->length = length;
  return OK;
}

static CK_ULONG GetAttributeValue(CK_ULONG session, CK_ULONG object, CK_ATTRIBUTE *wanted, CK_ULONG count) {
  static const CK_ULONG classes[] = { 1, 3 }, zero = 0;
  static const CK_BYTE yes = 1;
  if (session != SESSION || count != 1) return ARGUMENTS_BAD;
  int key = object == KEY_OBJECT;
  if (!key && object != CERTIFICATE_OBJECT) return 0x82; /* CKR_OBJECT_HANDLE_INVALID */
  switch (wanted->type) {
    case 0x000: return attribute(wanted, &classes[key], sizeof(CK_ULONG));
    case 0x003: return attribute(wanted, "Officer", 7);
    case 0x102: return attribute(wanted, "\x01\x02", 2);
    case 0x011:
      if (key) return ATTRIBUTE_SENSITIVE;
      return attribute(wanted, CERTIFICATE, sizeof CERTIFICATE);
    case 0x080: if (!key) return attribute(wanted, &zero, sizeof zero); break;
    case 0x100: if (key) return attribute(wanted, &zero, sizeof zero); break;
    case 0x108: if (key) return attribute(wanted, &yes, 1); break;
    case 0x120: if (key) return attribute(wanted, N, sizeof N); break;
    case 0x122: if (key) return attribute(wanted, E, sizeof E); break;
  }
  wanted->length = (CK_ULONG) -1;
  return ATTRIBUTE_TYPE_INVALID;
}

static CK_ULONG FindObjectsInit(CK_ULONG session, CK_ATTRIBUTE *template, CK_ULONG count) {
  if (session != SESSION || count != 1 || template->type != 0 || template->length != sizeof(CK_ULONG)) {
    return ARGUMENTS_BAD;
  }
  memcpy(&wanted_class, template->value, sizeof wanted_class);
  finding = 1;
  return OK;
}

static CK_ULONG FindObjects(CK_ULONG session, CK_ULONG *found, CK_ULONG room, CK_ULONG *count) {
  *count = 0;
  if (session != SESSION || !finding) return NOT_INITIALIZED;
  if (finding == 1 && room > 0) {
    if (wanted_class == 1) found[(*count)++] = CERTIFICATE_OBJECT;
    if (wanted_class == 3 && logged_in == 1) found[(*count)++] = KEY_OBJECT;
  }
  finding = 2;
  return OK;
}

static CK_ULONG FindObjectsFinal(CK_ULONG session) {
  finding = 0;
  return session == SESSION ? OK : SESSION_HANDLE_INVALID;
}

static CK_ULONG SignInit(CK_ULONG session, CK_MECHANISM *mechanism, CK_ULONG key) {
  if (session != SESSION) return SESSION_HANDLE_INVALID;
  if (logged_in != 1) return USER_NOT_LOGGED_IN;
  if (key != KEY_OBJECT) return KEY_HANDLE_INVALID;
  if (mechanism->mechanism != 1 || mechanism->parameter || mechanism->length) return MECHANISM_INVALID;
  signing = 1;
  return OK;
}

/* PKCS #1 v1.5 padding, RFC 8017 §9.2 */
static CK_ULONG Sign(CK_ULONG session, CK_BYTE *data, CK_ULONG length, CK_BYTE *signature, CK_ULONG *size) {
  if (session != SESSION || !signing) return NOT_INITIALIZED;
  if (!signature || *size < BYTES) {
    *size = BYTES;
    return signature ? BUFFER_TOO_SMALL : OK;
  }
  signing = 0;
  if (length > BYTES - 11) return DATA_LEN_RANGE;
  CK_BYTE block[BYTES];
  memset(block, 0xff, BYTES);
  block[0] = 0;
  block[1] = 1;
  block[BYTES - length - 1] = 0;
  memcpy(block + BYTES - length, data, length);
  power(signature, block);
  *size = BYTES;
  return OK;
}

static CK_FUNCTION_LIST list = { { 2, 40 }, {
  [0] = Initialize, [2] = GetInfo, [4] = GetSlotList, [5] = GetSlotInfo, [6] = GetTokenInfo,
  [7] = GetMechanismList, [12] = OpenSession, [13] = CloseSession, [18] = Login, [19] = Logout,
  [24] = GetAttributeValue, [26] = FindObjectsInit, [27] = FindObjects, [28] = FindObjectsFinal,
  [42] = SignInit, [43] = Sign,
} };

__declspec(dllexport) CK_ULONG C_GetFunctionList(CK_FUNCTION_LIST **out) {
  *out = &list;
  return OK;
}
