/**
 * `deno task troubleshooting`: writes `docs/troubleshooting.md`, and the same in Bengali and Hindi, from what
 * `dsign doctor` says. A test fails when they are stale.
 */
import { TICKETS } from "../cli/doctor/tickets.ts";
import { DOCTOR_WORDS } from "../words/doctor.ts";
import { type Language, LANGUAGES } from "../words/speech.ts";

const DOCS = new URL("../docs/", import.meta.url);

/** File name of a language's page in `docs/`. */
export const pageName = (language: Language) =>
  language === "en" ? "troubleshooting.md" : `troubleshooting.${language}.md`;

/** The page, formatted as `deno fmt` has it. */
export async function troubleshooting(language: Language): Promise<string> {
  const { tickets, meaning, action, places, guide: { title, intro } } = DOCTOR_WORDS[language];
  const others = (Object.keys(LANGUAGES) as Language[]).filter((each) => each !== language)
    .map((each) => `[${DOCTOR_WORDS[each].guide.title}](${pageName(each)})`);
  const plain = (text: string) =>
    text.replaceAll("<", "&lt;").replaceAll(
      /\{(\w+)\}/g,
      (_, name: keyof typeof places) => `‹${places[name]}›`,
    );
  const sections = TICKETS.map((id) => {
    const { seen, meaning: means, action: advice } = tickets[id];
    return `## ${id}\n\n${plain(seen)}\n\n**${meaning}:** ${plain(means)}\n\n**${action}:** ${
      plain(advice)
    }\n`;
  });
  const text = `# ${title}\n\n${others.join(" · ")}\n\n${intro}\n\n${sections.join("\n")}`;
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "-"],
    cwd: DOCS,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = formatter.stdin.getWriter();
  await input.write(new TextEncoder().encode(text));
  await input.close();
  const { success, stdout } = await formatter.output();
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  for (const language of Object.keys(LANGUAGES) as Language[]) {
    await Deno.writeTextFile(new URL(pageName(language), DOCS), await troubleshooting(language));
  }
}
