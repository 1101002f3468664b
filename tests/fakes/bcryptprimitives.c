/*
 * Windows has bcryptprimitives.dll since 7, Wine only since 8.11: its one function that Deno calls.
 */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG length); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length) {
  while (length > 0) {
    ULONG now = length < 0x10000000 ? (ULONG) length : 0x10000000;
    if (!SystemFunction036(bytes, now)) return FALSE;
    bytes += now;
    length -= now;
  }
  return TRUE;
}
