/*
 * Puts a certificate into the person's store MY, with the name of its key; with a key's blob, puts that where the name
 * says. Arguments: certificate (DER), provider, its type, container, key spec, and perhaps PRIVATEKEYBLOB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>
#include <wincrypt.h>

static BYTE *file(const char *path, DWORD *length) {
  static BYTE bytes[2][65536];
  static int next;
  FILE *opened = fopen(path, "rb");
  if (!opened) exit(2);
  *length = (DWORD) fread(bytes[next], 1, sizeof bytes[next], opened);
  fclose(opened);
  return bytes[next++];
}

static void must(BOOL done, const char *what) {
  if (done) return;
  fprintf(stderr, "%s: %08lX\n", what, GetLastError());
  exit(1);
}

static WCHAR *wide(const char *text) {
  int size = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
  WCHAR *out = calloc(size, sizeof *out);
  MultiByteToWideChar(CP_UTF8, 0, text, -1, out, size);
  return out;
}

int main(int count, char **arguments) {
  if (count < 6) return 3;
  DWORD length;
  BYTE *der = file(arguments[1], &length);
  CRYPT_KEY_PROV_INFO key = {
    .pwszProvName = wide(arguments[2]),
    .dwProvType = (DWORD) atoi(arguments[3]),
    .pwszContainerName = wide(arguments[4]),
    .dwKeySpec = (DWORD) strtoul(arguments[5], NULL, 10),
  };
  if (count > 6) {
    DWORD size;
    BYTE *blob = file(arguments[6], &size);
    HCRYPTPROV context;
    HCRYPTKEY imported;
    must(CryptAcquireContextW(&context, key.pwszContainerName, NULL, PROV_RSA_AES, CRYPT_NEWKEYSET), "acquire");
    must(CryptImportKey(context, blob, size, 0, CRYPT_EXPORTABLE, &imported), "import");
    CryptDestroyKey(imported);
    CryptReleaseContext(context, 0);
  }
  HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_SYSTEM_W, 0, 0, CERT_SYSTEM_STORE_CURRENT_USER, L"MY");
  PCCERT_CONTEXT added;
  must(store != NULL, "open");
  must(CertAddEncodedCertificateToStore(store, X509_ASN_ENCODING, der, length, CERT_STORE_ADD_REPLACE_EXISTING, &added), "add");
  must(CertSetCertificateContextProperty(added, CERT_KEY_PROV_INFO_PROP_ID, 0, &key), "property");
  must(CertControlStore(store, 0, CERT_STORE_CTRL_COMMIT, NULL), "commit");
  CertCloseStore(store, 0);
  return 0;
}
