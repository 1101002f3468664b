/*
 * Prints PKCS#11's structures as C lays them out, one a line: name, then bytes in hex. Compiled
 * as it is for 64-bit Linux and macOS; with -DPACKED for Windows, where CK_ULONG has four bytes
 * and structures are packed to one.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifdef PACKED
typedef unsigned int ulong_t;
#pragma pack(push, 1)
#else
typedef unsigned long ulong_t;
#endif

typedef unsigned char byte_t;
typedef struct { byte_t major, minor; } version_t;

typedef struct {
  version_t cryptoki;
  byte_t manufacturer[32];
  ulong_t flags;
  byte_t description[32];
  version_t library;
} info_t;

typedef struct {
  byte_t description[64], manufacturer[32];
  ulong_t flags;
  version_t hardware, firmware;
} slot_info_t;

typedef struct {
  byte_t label[32], manufacturer[32], model[16], serial[16];
  ulong_t flags, max_sessions, sessions, max_rw_sessions, rw_sessions, max_pin, min_pin;
  ulong_t total_public, free_public, total_private, free_private;
  version_t hardware, firmware;
  byte_t utc_time[16];
} token_info_t;

typedef struct { ulong_t type; void *value; ulong_t length; } attribute_t;
typedef struct { ulong_t mechanism; void *parameter; ulong_t length; } mechanism_t;
typedef struct { ulong_t hash, mgf, salt; } pss_t;
typedef struct {
  void *create, *destroy, *lock, *unlock;
  ulong_t flags;
  void *reserved, *nss;
} init_args_t;
typedef struct { version_t version; void *fn[68]; } function_list_t;

#ifdef PACKED
#pragma pack(pop)
#endif

static void print(const char *name, const void *bytes, size_t n) {
  printf("%s ", name);
  for (size_t i = 0; i < n; i++) printf("%02x", ((const byte_t *) bytes)[i]);
  printf("\n");
}

static void pad(byte_t *field, size_t n, const char *text) {
  memset(field, ' ', n);
  memcpy(field, text, strlen(text));
}

#define PAD(field, text) pad(field, sizeof(field), text)
#define PRINT(name) print(#name, &name, sizeof name)
#define CLEAR(name) memset(&name, 0, sizeof name)

int main(void) {
  info_t info;
  CLEAR(info);
  info.cryptoki = (version_t) { 2, 40 };
  PAD(info.manufacturer, "Maker");
  info.flags = 0x01020304;
  PAD(info.description, "A description of 32 characters!!");
  info.library = (version_t) { 3, 7 };
  PRINT(info);

  slot_info_t slot;
  CLEAR(slot);
  PAD(slot.description, "Reader 00");
  PAD(slot.manufacturer, "Reader maker");
  slot.flags = 0x7;
  slot.hardware = (version_t) { 1, 2 };
  slot.firmware = (version_t) { 3, 4 };
  PRINT(slot);

  token_info_t token;
  CLEAR(token);
  PAD(token.label, "Officer \xe0\xa6\x85");
  PAD(token.manufacturer, "Token maker");
  PAD(token.model, "Model sixteen ch");
  PAD(token.serial, "0123456789ABCDEF");
  token.flags = 0x3040d;
  token.max_sessions = 11;
  token.sessions = 12;
  token.max_rw_sessions = 13;
  token.rw_sessions = 14;
  token.max_pin = 15;
  token.min_pin = 6;
  token.total_public = (ulong_t) -1;
  PRINT(token);

  attribute_t attribute;
  CLEAR(attribute);
  attribute.type = 0x102;
  attribute.value = (void *) 0x1122334455667788;
  attribute.length = 52;
  PRINT(attribute);

  mechanism_t mechanism;
  CLEAR(mechanism);
  mechanism.mechanism = 0x43;
  mechanism.parameter = (void *) 0x1122334455667788;
  mechanism.length = sizeof(pss_t);
  PRINT(mechanism);

  pss_t pss = { 0x250, 2, 32 };
  PRINT(pss);

  init_args_t init;
  CLEAR(init);
  init.flags = 2;
  init.reserved = (void *) 0x1122334455667788;
  PRINT(init);

  byte_t offset[] = { offsetof(function_list_t, fn[0]), offsetof(function_list_t, fn[10]) };
  PRINT(offset);
  return 0;
}
