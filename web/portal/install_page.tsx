/** The page from which officers get D-Sign: file and checksum, installing, found, "Connection opened". */
import { useEffect, useState } from "preact/hooks";
import { connect, connectByPopup, DsignClientError, PORTS, type Status } from "../client.ts";
import { loopbackPermission, probe } from "../client/find.ts";
import { type Language, speak } from "../../words/agent.ts";
import { keepLanguage, keptLanguage } from "../language.ts";
import { Languages } from "../parts.tsx";
import { sizeOf } from "../text.ts";
import {
  checkCommand,
  detect,
  fittingFiles,
  linuxOf,
  readRelease,
  type Release,
  type ReleaseFile,
  type System,
} from "./install_release.ts";
import { INSTALL_WORDS, type InstallWord } from "../../words/install.ts";
import { type Speech, speech } from "../../words/speech.ts";

/** Milliseconds between looks for the signer program. */
const LOOK = 2000;

/** Where a window of the signer program's own can do what this page cannot. */
const BY_WINDOW: DsignClientError["code"][] = [
  "blocked_by_browser",
  "permission_denied",
  "certificate_untrusted",
  "cannot_tell",
];

const INSTALL_HOW: Record<System, InstallWord> = {
  windows: "install_windows",
  macos: "install_macos",
  linux: "install_linux",
  other: "install_other",
};

type Say = Speech<InstallWord>["say"];
type Computer = Awaited<ReturnType<typeof detect>>;

export interface InstallOptions {
  /** Address of the manifest. */
  manifest: string;
  /** Ports of the signer program, instead of the usual ones. */
  ports?: readonly number[];
}

export function InstallPage({ manifest, ports = PORTS }: InstallOptions) {
  const [language, setLanguage] = useState(() => keptLanguage(navigator.language));
  const [computer, setComputer] = useState<Computer | null>(null);
  const [release, setRelease] = useState<Release | null>(null);
  const [isLoading, setLoading] = useState(true);
  const [isLooking, setLooking] = useState(false);
  const { say } = speech(INSTALL_WORDS, language);

  useEffect(() => {
    document.documentElement.lang = language;
    document.title = say("title");
  }, [language]);
  useEffect(() => {
    // Where the browser would first ask the person, nothing looks for programs before a click.
    loopbackPermission().then((state) => setLooking((before) => before || state !== "prompt"));
    detect(navigator as unknown as Parameters<typeof detect>[0]).then(setComputer);
    fetch(manifest)
      .then(async (answer) =>
        setRelease(answer.ok ? readRelease(await answer.text(), location.href) : null)
      )
      .catch(() => setRelease(null))
      .finally(() => setLoading(false));
  }, []);
  const status = useSigner(ports, isLooking);

  return (
    <>
      <header class="masthead">
        <p>
          <strong>Sample Treasury</strong>
        </p>
        <Languages
          chosen={language}
          label={say("language")}
          choose={(language) => {
            setLanguage(language);
            keepLanguage(language);
          }}
        />
      </header>
      <main>
        <h1>{say("title")}</h1>
        <p>{say("intro")}</p>
        <ol class="steps">
          <li class="step" id="get">
            <h2>{say("step_get")}</h2>
            {!isLoading && computer && (
              <Files
                release={release}
                computer={computer}
                language={language}
                say={say}
                taken={() => setLooking(true)}
              />
            )}
          </li>
          <li class="step" id="install">
            <h2>{say("step_install")}</h2>
            <p>{say(INSTALL_HOW[computer?.system ?? "other"])}</p>
          </li>
          <li class={status.found ? "step signed" : "step"} id="wait">
            <h2>{say("step_wait")}</h2>
            <div role="status">
              {status.found
                ? <p class="good">{say("found", { version: status.found.version })}</p>
                : isLooking && <p>{say(status.isAsked ? "prompt" : "looking")}</p>}
              {status.found && release && isOlder(status.found.version, release.version) && (
                <p class="notice">{say("older", { version: release.version })}</p>
              )}
            </div>
            {!isLooking && (
              <button type="button" onClick={() => setLooking(true)}>{say("look")}</button>
            )}
          </li>
          <Test ports={ports} say={say} />
        </ol>
      </main>
    </>
  );
}

/** Looks for the signer program again and again, until it is there. */
function useSigner(ports: readonly number[], isLooking: boolean) {
  const [found, setFound] = useState<Status | null>(null);
  const [isAsked, setAsked] = useState(false);
  useEffect(() => {
    if (!isLooking) return;
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    (async function look() {
      for (const port of ports) {
        const base = `http://127.0.0.1:${port}`;
        const status = await probe(base, leaving.signal, () => setAsked(true));
        if (leaving.signal.aborted) return;
        setAsked(false);
        if (status) return setFound(status);
      }
      timer = setTimeout(look, LOOK);
    })();
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [isLooking, ...ports]);
  return { found, isAsked };
}

/** Whether version `a` is older than `b`; both are numbers separated by dots. */
function isOlder(a: string, b: string): boolean {
  return a.localeCompare(b, "en", { numeric: true }) < 0;
}

function Files(
  { release, computer, language, say, taken }: {
    release: Release | null;
    computer: Computer;
    language: Language;
    say: Say;
    taken: () => void;
  },
) {
  if (!release) return <p>{say("no_release")}</p>;
  const fitting = fittingFiles(release.files, computer);
  const others = release.files.filter((file) => !fitting.includes(file));
  const show = (file: ReleaseFile, isFirst: boolean) => (
    <File key={file.name} {...{ file, release, language, say, taken, isFirst }} />
  );
  return (
    <>
      {fitting.length === 0 && <p>{say("no_file")}</p>}
      {computer.system === "macos" && computer.arch === null && fitting.length > 1 && (
        <p>{say("which_mac")}</p>
      )}
      {fitting.map((file, index) => show(file, index === 0))}
      {others.length > 0 && (
        <details>
          <summary>{say("other_files")}</summary>
          {others.map((file) => show(file, false))}
        </details>
      )}
    </>
  );
}

function File(
  { file, release, language, say, taken, isFirst }: {
    file: ReleaseFile;
    release: Release;
    language: Language;
    say: Say;
    taken: () => void;
    isFirst: boolean;
  },
) {
  const size = sizeOf(file.size, speak(language).number);
  return (
    <div class="file">
      <p>
        <a
          class={isFirst ? "button" : undefined}
          href={file.url}
          rel="noopener noreferrer"
          onClick={taken}
        >
          {say("get", { name: file.name })}
        </a>{" "}
        <span class="aside">
          {linuxOf(file) && `${linuxOf(file)} · `}
          {say("version", { version: release.version, size })}
        </span>
      </p>
      <details>
        <summary>
          {say("checksum")} <span class="unseen-but-read">{file.name}</span>
        </summary>
        <p>
          <code class="checksum">{file.sha256}</code>
        </p>
        <p>{say("check_how")}</p>
        <p>
          <code>{checkCommand(file)}</code>
        </p>
      </details>
    </div>
  );
}

/** Tests whether a WebSocket opens, as the 2018 program's "Test Socket" page did. */
function Test({ ports, say }: { ports: readonly number[]; say: Say }) {
  const [isBusy, setBusy] = useState(false);
  const [isOpened, setOpened] = useState(false);
  const [failure, setFailure] = useState<DsignClientError | null>(null);
  const word = `failed_${failure?.code}`;

  async function test(way: typeof connect) {
    setBusy(true);
    setFailure(null);
    setOpened(false);
    try {
      const client = await way({ ports });
      await client.call("agent.info", {});
      client.close();
      setOpened(true);
    } catch (error) {
      if (!(error instanceof DsignClientError)) throw error;
      setFailure(error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <li class={isOpened ? "step signed" : "step"} id="test">
      <h2>{say("step_test")}</h2>
      <button type="button" disabled={isBusy} onClick={() => test(connect)}>
        {say(isBusy ? "testing" : "test")}
      </button>
      <div role="status">
        {isOpened && (
          <>
            <p class="good">
              <strong>{say("opened")}</strong>
            </p>
            <p>{say("opened_next")}</p>
          </>
        )}
      </div>
      {failure && (
        <p class="warning" role="alert">
          {Object.hasOwn(INSTALL_WORDS.en, word) ? say(word as InstallWord) : failure.message}
        </p>
      )}
      {failure && BY_WINDOW.includes(failure.code) && (
        <button
          type="button"
          class="secondary"
          disabled={isBusy}
          onClick={() => test(connectByPopup)}
        >
          {say("test_window")}
        </button>
      )}
    </li>
  );
}
