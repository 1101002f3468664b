/** `dsign extend`: signatures that are there are raised to a level, or renewed before their proofs end. */
import { join } from "node:path";
import { Option } from "commander";
import { FormatError } from "../formats/error.ts";
import { appendedSource, bytesSource, type Source } from "../formats/source.ts";
import type { RaisedLevel } from "../online/augment.ts";
import { OnlineError } from "../online/error.ts";
import { configuredFetch } from "../online/pki_http.ts";
import { Online } from "../online/services.ts";
import { DsignError } from "../protocol/errors.ts";
import { loadTrusted, trustFolders } from "../settings/anchors.ts";
import { extend } from "../signing/extension.ts";
import { type DocumentReader, openCommandReader } from "../signing/reading.ts";
import { type SignedFile, verify } from "../signing/verification.ts";
import type { SignatureReport } from "../formats/verify/report.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { type AddCommand, type Context, repeated } from "./command.ts";
import { EXIT, FileError, printable, printJson, report, UsageError } from "./failure.ts";
import { createOutput } from "./output_file.ts";
import { loadConfig } from "./providers.ts";
import { contentOf, OpenFiles, readCertificates } from "./signed_file.ts";
import { firstLine } from "./sign_pdf.ts";

interface Options {
  level?: RaisedLevel;
  due?: string;
  output?: string;
  content?: string;
  certificate?: string[];
  passwordFile?: string;
  json?: boolean;
}

/** When the proofs of a file's signatures end. */
interface Due {
  file: string;
  /** ISO 8601: the first of them; null: not known. */
  until: string | null;
  signatures: { id: string; signer: string; until: string | null }[];
}

/** `dsign extend` */
export const extendCommand: AddCommand = (program, context, action) => {
  program.command("extend")
    .description("Raise existing signatures (PDF, CMS, XML, JSON, ASiC) to a level, or renew them.")
    .argument("<path...>", "signed files; with --due also folders")
    .addOption(
      new Option(
        "--level <level>",
        "B-T: add a timestamp; B-LT: all that a later verification needs; B-LTA: a timestamp over " +
          "all of it, one more each time",
      ).choices(["B-T", "B-LT", "B-LTA"]),
    )
    .option(
      "--due <time>",
      "only files whose proofs end within this time (1y, 6m, 30d); without --level they are listed",
    )
    .option("--output <file>", "output file, for one file (default: the file is replaced)")
    .option("--content <file>", "the file that a detached signature signs (default: as for verify)")
    .option(
      "--certificate <file>",
      "certificates missing from the signature (signer, chain to the root); repeatable",
      repeated,
    )
    .option(
      "--password-file <file>",
      "PDF: read the PDF's password from the first line of this file",
    )
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
No key is needed. Signed bytes never change, and a file is only replaced after the new one was
verified: every signature in it is as good as before. If one of several files cannot be extended, it
is named, and the others are extended.

Examples:
  dsign extend --level B-LTA order-signed.pdf
  dsign extend --due 1y archive/                   lists what ends within a year
  dsign extend --due 1y --level B-LTA archive/     renews it`,
    )
    .action(action(async (paths: string[], options: Options) => {
      if (options.level === undefined && options.due === undefined) {
        throw new UsageError("Give --level, --due or both.");
      }
      if ((options.output ?? options.content) !== undefined && paths.length > 1) {
        throw new UsageError("--output and --content take exactly one file.");
      }
      const before = options.due === undefined ? undefined : timeAhead(options.due, new Date());
      const { config, paths: { config: settings } } = await loadConfig();
      const files = before ? await filesIn(paths) : paths;
      const reader = openCommandReader(Infinity, {
        module: context.readerWorker,
        command: context.readerCommand,
      });
      const online = new Online({
        reader,
        timestampAuthority: config.timestampAuthority,
        pkiFetch: configuredFetch(config),
        now: () => new Date(),
      });
      const work: Work = {
        reader,
        online,
        options,
        context,
        anchors: await loadTrusted(
          trustFolders({ config: settings }, (name) => Deno.env.get(name)),
        ),
        certificates: options.certificate
          ? (await readCertificates("--certificate", options.certificate)).map(({ der }) => der)
          : [],
        password: options.passwordFile === undefined
          ? undefined
          : await firstLine(options.passwordFile),
      };
      const due: Due[] = [];
      const extended: Extended[] = [];
      const failed: { file: string; message: string }[] = [];
      const one = async (file: string) => {
        if (before) {
          const found = await dueOf(file, work);
          if (!found || found.until !== null && new Date(found.until) > before) return;
          due.push(found);
          if (!options.json) showDue(found);
        }
        if (options.level === undefined) return;
        const done = await extendFile(file, options.level, work);
        extended.push(done);
        if (!options.json) console.log(`Extended ${printable(file)}: ${done.levels.join(", ")}`);
      };
      try {
        for (const file of files) {
          try {
            await one(file);
          } catch (error) {
            // One broken file must not keep a whole archive from being renewed.
            if (files.length === 1 || context.signal.aborted || !isOfFile(error)) throw error;
            const message = error.message.replace(`${file}: `, "");
            failed.push({ file, message });
            if (!options.json) console.error(printable(`dsign: ${file}: ${message}`));
          }
        }
      } catch (error) {
        return report(error, options.json ?? false, { due, extended, failed });
      } finally {
        await reader.close();
      }
      if (options.json) {
        printJson({
          ...before && { due },
          ...options.level && { extended },
          ...failed.length > 0 && { failed },
        });
      } else if (before && due.length + failed.length === 0) {
        console.log(`Nothing ends within ${options.due}.`);
      }
      return failed.length > 0 ? EXIT.failed : EXIT.ok;
    }));
};

/** Whether a failure says something of one file only: without a timestamp authority all would fail. */
const isOfFile = (error: unknown): error is Error =>
  error instanceof FormatError || error instanceof FileError || error instanceof DsignError ||
  error instanceof OnlineError && error.code !== "timestamp_unavailable";

interface Work {
  reader: DocumentReader;
  online: Online;
  options: Options;
  context: Context;
  anchors: Certificate[];
  certificates: Uint8Array[];
  password?: string;
}

/** A file that was extended, as `--json` prints it. */
interface Extended {
  file: string;
  output: string;
  /** Of each signature, as verification reports it; null: none, as where no root is trusted. */
  levels: SignatureReport["level"][];
}

const UNITS: Readonly<Record<string, number>> = { d: 1, m: 30, y: 365 };

function timeAhead(text: string, now: Date): Date {
  const [, count, unit] = /^(\d{1,4})([dmy])$/.exec(text) ?? [];
  if (!unit) {
    throw new UsageError("--due must be a number of days, months or years, as 30d, 6m, 1y.");
  }
  return new Date(now.getTime() + Number(count) * UNITS[unit] * 24 * 3600 * 1000);
}

/** Folders with all that is in them. @throws {FileError} */
async function filesIn(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    try {
      if (!(await Deno.stat(path)).isDirectory) {
        found.push(path);
        continue;
      }
      const entries = (await Array.fromAsync(Deno.readDir(path)))
        .filter(({ isSymlink, name }) => !isSymlink && !name.startsWith("."))
        .map(({ name }) => join(path, name));
      found.push(...await filesIn(entries.toSorted()));
    } catch (error) {
      if (error instanceof FileError) throw error;
      throw new FileError(path, error);
    }
  }
  return found;
}

/** Undefined: the file has no signatures, or holds none that can be read. */
async function dueOf(
  file: string,
  { reader, password, context: { signal } }: Work,
): Promise<Due | undefined> {
  using files = new OpenFiles();
  const documents = [files.open(file)];
  try {
    const signatures = await reader.ask("lasting", { password }, { documents, signal });
    if (signatures.length === 0) return undefined;
    const ends = signatures.map(({ until }) => until);
    return { file, until: ends.includes(null) ? null : ends.toSorted()[0], signatures };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function showDue({ file, signatures }: Due): void {
  for (const { id, signer, until } of signatures) {
    const end = until === null ? "not known" : until.slice(0, 10);
    console.log(printable(`${file}: signature ${id} (${signer}) is proven until ${end}`));
  }
}

async function extendFile(file: string, level: RaisedLevel, work: Work): Promise<Extended> {
  const { reader, online, options, anchors, certificates, password, context: { signal } } = work;
  using files = new OpenFiles();
  // A link goes on leading to the file.
  const path = await realPath(file);
  const read = await Deno.stat(path);
  const source = files.open(path);
  const content = (name: string | null) => contentOf(files, file, options.content, name);
  const signed: SignedFile = { source, content, password, certificates };
  const levelsOf = async (source: Source) => {
    const how = { now: new Date(), anchors, signal };
    const { report } = await verify(reader, { ...signed, source }, how);
    return report.signatures.filter(({ kind }) => kind !== "timestamp");
  };
  const before = await levelsOf(source);
  const made = await extend(reader, signed, level, online, { signal });
  const appended = "appended" in made ? made.appended : new Uint8Array();
  const result = "file" in made ? bytesSource(made.file) : appendedSource(source, appended);
  const after = await levelsOf(result);
  const worse = before.find(({ indication }, index) =>
    indication === "TOTAL-PASSED" && after[index]?.indication !== indication
  );
  if (worse) {
    throw new FormatError(
      "document_locked",
      `Signature ${worse.id} would no longer be valid. The file is left as it is.`,
    );
  }
  const output = await createOutput(options.output ?? path, options.output === undefined);
  try {
    for (let at = 0; at < result.size; at += PIECE) {
      await output.write(result.read(at, Math.min(PIECE, result.size - at)));
    }
    // Authorities take their time to answer: meanwhile somebody may have signed it.
    if (options.output === undefined && !isSame(read, await Deno.stat(path))) {
      throw new DsignError("busy", `${file} was changed meanwhile. Extend it once more.`);
    }
    await output.finish();
  } finally {
    output.abandon();
  }
  return { file, output: options.output ?? file, levels: after.map(({ level }) => level) };
}

const PIECE = 1 << 20;

async function realPath(file: string): Promise<string> {
  try {
    return await Deno.realPath(file);
  } catch (error) {
    throw new FileError(file, error);
  }
}

const isSame = (a: Deno.FileInfo, b: Deno.FileInfo) =>
  a.ino === b.ino && a.size === b.size && a.mtime?.getTime() === b.mtime?.getTime();
