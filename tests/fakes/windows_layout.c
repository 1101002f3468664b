/* Prints structures of CryptoAPI and CNG as C lays them out, one a line: name, then bytes in hex. */
#include <stdio.h>
#include <windows.h>
#include <wincrypt.h>
#include <bcrypt.h>

#define ADDRESS ((void *) 0x1122334455667788)

static void print(const char *name, const void *bytes, size_t length) {
  printf("%s ", name);
  for (size_t i = 0; i < length; i++) printf("%02x", ((const unsigned char *) bytes)[i]);
  printf("\n");
}

/* static: what lies between members is zero */
int main(void) {
  static CERT_CONTEXT context = { .pbCertEncoded = ADDRESS, .cbCertEncoded = 0x4321 };
  print("context", &context, sizeof context);
  static struct { CRYPT_KEY_PROV_INFO info; WCHAR container[4], provider[9]; } key = {
    .info = {
      .pwszContainerName = (WCHAR *) (0x10000 + offsetof(__typeof__(key), container)),
      .pwszProvName = (WCHAR *) (0x10000 + offsetof(__typeof__(key), provider)),
      .dwProvType = 24, .dwFlags = 0x20, .cProvParam = 1, .rgProvParam = ADDRESS, .dwKeySpec = 2,
    },
    .container = L"key", .provider = L"Provider",
  };
  print("key", &key, sizeof key);
  static BCRYPT_PKCS1_PADDING_INFO pkcs1 = { .pszAlgId = ADDRESS };
  print("pkcs1", &pkcs1, sizeof pkcs1);
  static BCRYPT_PSS_PADDING_INFO pss = { .pszAlgId = ADDRESS, .cbSalt = 32 };
  print("pss", &pss, sizeof pss);
  const DWORD constants[] = {
    CERT_SYSTEM_STORE_CURRENT_USER | CERT_STORE_READONLY_FLAG | CERT_STORE_OPEN_EXISTING_FLAG,
    CERT_KEY_PROV_INFO_PROP_ID, CRYPT_VERIFYCONTEXT, CRYPT_MACHINE_KEYSET, CRYPT_SILENT,
    PROV_RSA_AES, AT_SIGNATURE, PP_CLIENT_HWND, PP_IMPTYPE, PP_KEYEXCHANGE_PIN,
    PP_SIGNATURE_PIN, HP_HASHVAL, CALG_SHA1, CALG_SHA_256, CALG_SHA_384, CALG_SHA_512,
    BCRYPT_PAD_PKCS1, BCRYPT_PAD_PSS, WS_POPUP, WS_EX_TOPMOST | WS_EX_APPWINDOW,
    SW_SHOWNOACTIVATE,
  };
  print("constants", constants, sizeof constants);
  return 0;
}
