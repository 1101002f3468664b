/**
 * Writes a pinentry program (the Assuan protocol) that types this PIN.
 *
 * @param heard a file that what it is told is written to
 * @param confirms its answer to questions without a PIN
 */
export async function writePinentry(
  path: string,
  pin: string,
  heard = "/dev/null",
  confirms = "OK",
): Promise<void> {
  const script = `#!/bin/sh
echo OK
while read -r command rest; do
	echo "$command $rest" >> '${heard}'
	case $command in
	GETPIN) printf 'D ${pin}\\nOK\\n' ;;
	CONFIRM) echo '${confirms}' ;;
	BYE) echo OK; exit ;;
	*) echo OK ;;
	esac
done
`;
  await Deno.writeTextFile(path, script, { mode: 0o700 });
}
