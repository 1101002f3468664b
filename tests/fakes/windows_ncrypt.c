/*
 * ncrypt.dll with three providers: "Trial Key Storage Provider" and Microsoft's for smart cards have their keys in
 * hardware, Microsoft's for software not. A key's name says how it behaves; `rsa` and `ec` sign. Where FAKE_LOG names a
 * file, each call is written there. Of a PIN only its hash is compared, so that none is found in memory.
 */
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <bcrypt.h>
#include "keys.h"
#include "windows_note.h"

#define EXPORT __declspec(dllexport) LONG WINAPI
#define NTE_NOT_FOUND_ ((LONG) 0x80090011)
#define SILENT 0x40

typedef struct {
  int provider; /* 1 trial, 2 smart card, 3 software */
  char name[32];
  int pin;      /* 0 none, 1 wrong, 2 right */
} object_t;

static void narrow(char *out, const WCHAR *text, size_t size) {
  size_t i = 0;
  for (; text[i] && i + 1 < size; i++) out[i] = (char) text[i];
  out[i] = 0;
}

EXPORT NCryptOpenStorageProvider(ULONG_PTR *out, const WCHAR *name, DWORD flags) {
  char text[64];
  narrow(text, name, sizeof text);
  note("NCryptOpenStorageProvider %s %lx\n", text, flags);
  int provider = !strcmp(text, "Trial Key Storage Provider")
    ? 1
    : !strcmp(text, "Microsoft Smart Card Key Storage Provider")
    ? 2
    : !strcmp(text, "Microsoft Software Key Storage Provider")
    ? 3
    : 0;
  if (!provider) return NTE_NOT_FOUND_;
  object_t *handle = calloc(1, sizeof *handle);
  handle->provider = provider;
  *out = (ULONG_PTR) handle;
  return 0;
}

EXPORT NCryptOpenKey(ULONG_PTR provider, ULONG_PTR *out, const WCHAR *name, DWORD spec, DWORD flags) {
  object_t *handle = calloc(1, sizeof *handle);
  handle->provider = ((object_t *) provider)->provider;
  narrow(handle->name, name, sizeof handle->name);
  note("NCryptOpenKey %s %lx %lx\n", handle->name, spec, flags);
  if (!strcmp(handle->name, "pulled")) return (LONG) 0x8010000C; /* SCARD_E_NO_SMARTCARD */
  if (!strcmp(handle->name, "other")) return (LONG) 0x80090016;  /* NTE_BAD_KEYSET */
  if (!strcmp(handle->name, "crash")) __builtin_trap();
  *out = (ULONG_PTR) handle;
  return 0;
}

EXPORT NCryptGetProperty(ULONG_PTR object, const WCHAR *name, BYTE *out, DWORD size, DWORD *length, DWORD flags) {
  char text[32];
  narrow(text, name, sizeof text);
  note("NCryptGetProperty %s %lx\n", text, flags);
  if (strcmp(text, "Impl Type") || size < 4) return (LONG) 0x80090029;
  *(DWORD *) out = ((object_t *) object)->provider == 3 ? 2 : 9;
  *length = 4;
  return 0;
}

static unsigned fnv(const BYTE *bytes, DWORD length) {
  unsigned hash = 2166136261u;
  for (DWORD i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

EXPORT NCryptSetProperty(ULONG_PTR object, const WCHAR *name, BYTE *value, DWORD size, DWORD flags) {
  object_t *handle = (object_t *) object;
  char text[32];
  narrow(text, name, sizeof text);
  if (!strcmp(text, "HWND Handle")) {
    note("NCryptSetProperty %s %d %lx\n", text, *(ULONG_PTR *) value != 0, flags);
    return 0;
  }
  note("NCryptSetProperty %s %lu %lx\n", text, size, flags);
  if (strcmp(text, "SmartCardPin") || handle->provider != 2) return (LONG) 0x80090029;
  handle->pin = fnv(value, size) == PIN_FNV ? 2 : 1;
  if (!strcmp(handle->name, "eager") && handle->pin == 1) return (LONG) 0x8010006B;
  return 0;
}

static LONG failure(const object_t *key, DWORD flags) {
  if (!strcmp(key->name, "cancel")) return (LONG) 0x8010006E;
  if (!strcmp(key->name, "blocked")) return (LONG) 0x8010006C;
  if (!strcmp(key->name, "removed")) return (LONG) 0x80100069;
  if (!strcmp(key->name, "wait")) Sleep(60000);
  if (key->pin == 1) return (LONG) 0x8010006B;
  if (key->provider != 3 && key->pin == 0 && (flags & SILENT)) return (LONG) 0x80090022;
  return 0;
}

EXPORT NCryptSignHash(
  ULONG_PTR object, void *padding, BYTE *hash, DWORD hash_length, BYTE *out, DWORD size, DWORD *length, DWORD flags
) {
  object_t *handle = (object_t *) object;
  note("NCryptSignHash %s %lu %s %lx\n", handle->name, hash_length, out ? "once" : "for its length", flags);
  LONG status = failure(handle, flags);
  if (status) return status;
  BOOL ec = !strcmp(handle->name, "ec");
  BCRYPT_ALG_HANDLE algorithm;
  BCRYPT_KEY_HANDLE key;
  status = BCryptOpenAlgorithmProvider(&algorithm, ec ? BCRYPT_ECDSA_P256_ALGORITHM : BCRYPT_RSA_ALGORITHM, NULL, 0);
  if (!status) {
    status = ec
      ? BCryptImportKeyPair(algorithm, NULL, BCRYPT_ECCPRIVATE_BLOB, &key, (BYTE *) EC_KEY, sizeof EC_KEY, 0)
      : BCryptImportKeyPair(algorithm, NULL, BCRYPT_RSAFULLPRIVATE_BLOB, &key, (BYTE *) RSA_KEY, sizeof RSA_KEY, 0);
  }
  if (!status) status = BCryptSignHash(key, padding, hash, hash_length, out, size, length, flags & ~SILENT);
  return status;
}

EXPORT NCryptFreeObject(ULONG_PTR object) {
  note("NCryptFreeObject\n");
  free((void *) object);
  return 0;
}
