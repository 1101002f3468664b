/*
 * A cryptographic service provider: Wine's own behind a PIN. Its key is in a container of that provider with the same
 * name. The file's name says how it behaves: csp_sha1.dll knows SHA-1 alone, csp_pulled.dll has no card. Where FAKE_LOG
 * names a file, the calls that matter are written there.
 */
#include <string.h>
#include <windows.h>
#include <wincrypt.h>
#include "pin.h"
#include "windows_note.h"

#define EXPORT __declspec(dllexport) BOOL WINAPI
#define NO { SetLastError((DWORD) NTE_BAD_TYPE); return FALSE; }

static HMODULE self;
static DWORD silent;
static int pin; /* 0 none, 1 wrong, 2 right */

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved) {
  (void) reserved;
  if (reason == DLL_PROCESS_ATTACH) self = instance;
  return TRUE;
}

static BOOL is(const char *kind) {
  char path[MAX_PATH];
  GetModuleFileNameA(self, path, sizeof path);
  return strstr(path, kind) != NULL;
}

static BOOL fail(DWORD status) {
  SetLastError(status);
  return FALSE;
}

EXPORT CPAcquireContext(HCRYPTPROV *out, LPSTR container, DWORD flags, void *table) {
  (void) table;
  note("CryptAcquireContext %s %lx\n", container ? container : "-", flags);
  if (is("pulled") && container && *container) return fail(SCARD_E_NO_SMARTCARD);
  silent = flags & CRYPT_SILENT;
  return CryptAcquireContextA(out, container && *container ? container : NULL, NULL, PROV_RSA_AES,
    flags & (CRYPT_VERIFYCONTEXT | CRYPT_SILENT));
}
EXPORT CPReleaseContext(HCRYPTPROV prov, DWORD flags) { return CryptReleaseContext(prov, flags); }
EXPORT CPGetProvParam(HCRYPTPROV prov, DWORD parameter, BYTE *out, DWORD *length, DWORD flags) {
  if (parameter != PP_IMPTYPE) return CryptGetProvParam(prov, parameter, out, length, flags);
  *(DWORD *) out = CRYPT_IMPL_HARDWARE | CRYPT_IMPL_REMOVABLE;
  *length = 4;
  return TRUE;
}

EXPORT CPSetProvParam(HCRYPTPROV prov, DWORD parameter, BYTE *value, DWORD flags) {
  (void) prov;
  note("CryptSetProvParam %lu %lx\n", parameter, flags);
  if (parameter != PP_KEYEXCHANGE_PIN && parameter != PP_SIGNATURE_PIN) return fail((DWORD) NTE_BAD_TYPE);
  unsigned hash = 2166136261u;
  for (size_t i = 0; i <= strlen((char *) value); i++) hash = (hash ^ value[i]) * 16777619u;
  pin = hash == ASCII_PIN_FNV ? 2 : 1;
  return TRUE;
}
EXPORT CPGetUserKey(HCRYPTPROV prov, DWORD spec, HCRYPTKEY *out) { return CryptGetUserKey(prov, spec, out); }
EXPORT CPDestroyKey(HCRYPTPROV prov, HCRYPTKEY key) { (void) prov; return CryptDestroyKey(key); }
EXPORT CPCreateHash(HCRYPTPROV prov, ALG_ID algorithm, HCRYPTKEY key, DWORD flags, HCRYPTHASH *out) {
  if (is("sha1") && algorithm != CALG_SHA1) return fail((DWORD) NTE_BAD_ALGID);
  return CryptCreateHash(prov, algorithm, key, flags, out);
}
EXPORT CPSetHashParam(HCRYPTPROV prov, HCRYPTHASH hash, DWORD parameter, BYTE *value, DWORD flags) {
  (void) prov;
  return CryptSetHashParam(hash, parameter, value, flags);
}
EXPORT CPSignHash(HCRYPTPROV prov, HCRYPTHASH hash, DWORD spec, LPCWSTR text, DWORD flags, BYTE *out, DWORD *length) {
  (void) prov;
  note("CryptSignHash %lx %s\n", flags, out ? "once" : "for its length");
  if (pin == 1) return fail(SCARD_W_WRONG_CHV);
  if (pin == 0 && silent) return fail((DWORD) NTE_SILENT_CONTEXT);
  return CryptSignHashW(hash, spec, text, flags, out, length);
}
EXPORT CPDestroyHash(HCRYPTPROV prov, HCRYPTHASH hash) { (void) prov; return CryptDestroyHash(hash); }

/* Wine wants these to be there. */
EXPORT CPDecrypt(void) NO
EXPORT CPDeriveKey(void) NO
EXPORT CPEncrypt(void) NO
EXPORT CPExportKey(void) NO
EXPORT CPGenKey(void) NO
EXPORT CPGenRandom(void) NO
EXPORT CPGetHashParam(void) NO
EXPORT CPGetKeyParam(void) NO
EXPORT CPHashData(void) NO
EXPORT CPHashSessionKey(void) NO
EXPORT CPImportKey(void) NO
EXPORT CPSetKeyParam(void) NO
EXPORT CPVerifySignature(void) NO
