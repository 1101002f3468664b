/* What the fakes of Windows' libraries write into the file that FAKE_LOG names. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void note(const char *format, ...) {
  const char *path = getenv("FAKE_LOG");
  FILE *file = path ? fopen(path, "a") : NULL;
  if (!file) return;
  va_list arguments;
  va_start(arguments, format);
  vfprintf(file, format, arguments);
  va_end(arguments);
  fclose(file);
}
