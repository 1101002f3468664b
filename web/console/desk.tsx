/** The person's own files: dropped or chosen, those without a signature are signed and the others checked. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Client, DsignClientError, type Progress } from "../client.ts";
import type { Speech, Word } from "../../words/agent.ts";
import { FileButton, Foreign } from "../parts.tsx";
import { failure } from "./failure.ts";
import { Report, Verdict } from "./report.tsx";
import { canSaveAll, canSaveBeside, download, saveAll, saveBeside } from "./saving.ts";
import { check, type Given, isPdf, mayBeSigned, pairs, sign, type Work } from "./work.ts";

/** Under way. */
interface Job {
  /** Shown before the first progress of a request has come. */
  word: Word;
  progress?: Progress;
  cancel: AbortController;
}

/** What the person is told, in the language that they have then. */
interface Told {
  tell(speech: Speech): string;
}

const STOPPED: Told = { tell: ({ say }) => say("console_stopped") };

/** @param client null while the agent is gone: results can still be saved */
export function Desk({ client, speech }: { client: Client | null; speech: Speech }) {
  const { language, say } = speech;
  const [works, setWorks] = useState<Work[]>([]);
  const [job, setJob] = useState<Job | null>(null);
  const [told, setTold] = useState<Told | null>(null);
  const [visible, setVisible] = useState(true);
  /** The list is to be cleared, though not all is saved, once this is confirmed. */
  const [clearing, setClearing] = useState(false);
  useEffect(() => {
    // What was said while D-Sign was gone is true no longer.
    if (client) setTold((told) => told === STOPPED ? null : told);
  }, [client]);
  const put = (work: Work) =>
    setWorks((all) => all.map((each) => each.file === work.file ? work : each));

  /** Runs one task at a time, which the person can end. */
  async function run(
    word: Word,
    task: (client: Client, options: TaskOptions) => Promise<void>,
  ): Promise<void> {
    if (!client) return setTold(STOPPED);
    const cancel = new AbortController();
    setJob({ word, cancel });
    setTold(null);
    setClearing(false);
    const onProgress = (progress: Progress) => setJob({ word, progress, cancel });
    try {
      await task(client, { signal: cancel.signal, onProgress });
    } catch (reason) {
      if (!(reason instanceof DsignClientError)) throw reason;
      const { code, message } = reason;
      setTold({ tell: (speech) => failure(speech, code, message) });
    } finally {
      setJob(null);
    }
  }

  function take(given: Given[]): Promise<void> | void {
    if (given.length === 0) return;
    if (job) return setTold({ tell: ({ say }) => say("desk_busy") });
    return run("desk_looking", async (client, options) => {
      let taken = pairs(given);
      setWorks((before) => [...before.filter(isUnsaved), ...taken]);
      taken = await inTurn(taken, async (work) => {
        const looked = work.content || mayBeSigned(work)
          ? await check(client, work, options)
          : work;
        put(looked);
        return looked;
      });
      await signAll(client, taken.filter(({ state }) => state === "unsigned"), options);
    });
  }

  /** What is not signed at its end is left, and can be signed with one more click. */
  async function signAll(client: Client, unsigned: Work[], options: TaskOptions): Promise<void> {
    if (unsigned.length === 0) return;
    const isAlone = unsigned.length === 1;
    const files = new Set(unsigned.map(({ file }) => file));
    const onDone = (work: Work) => {
      const isSaved = work.result !== undefined && (isAlone || !canSaveAll());
      if (isSaved) download(work.result!);
      files.delete(work.file);
      put({ ...work, saved: isSaved });
    };
    try {
      await sign(client, unsigned, { ...options, visible: visible ? language : undefined, onDone });
    } finally {
      setWorks((all) =>
        all.map((work) => files.has(work.file) && !work.report ? { ...work, state: "left" } : work)
      );
    }
  }

  const startSigning = (works: Work[]) =>
    run("desk_looking", (client, options) => signAll(client, works, options));
  const checkOnline = (work: Work) =>
    run(
      "desk_asking_authorities",
      async (client, options) => put(await check(client, work, { ...options, online: true })),
    );
  const checkWith = (work: Work, content: File) =>
    run(
      "desk_looking",
      async (client, options) => put(await check(client, { ...work, content }, options)),
    );

  /** Saves, and tells where that failed. */
  async function save(works: Work[], saving: () => Promise<boolean>): Promise<void> {
    setTold(null);
    try {
      if (await saving()) works.forEach((work) => put({ ...work, saved: true }));
    } catch {
      setTold({ tell: ({ say }) => say("desk_save_failed") });
    }
  }

  const left = works.filter(({ state }) => state === "left");
  const unsaved = works.filter(isUnsaved);
  /** Files can be saved while the question stands. */
  const isClearing = clearing && unsaved.length > 0;
  const isBusy = job !== null || client === null;
  useDrop((given) => {
    if (given.length > 0) location.hash = "#sign"; // where the person sees what comes of it
    take(given);
  });
  useWarning(unsaved.length > 0 || job !== null);

  return (
    <section class={works.length === 0 ? "desk empty" : "desk"}>
      <div>
        <h2>{say("desk_title")}</h2>
        {works.length === 0 && <p>{say("desk_explain")}</p>}
        <div class="row">
          <FileButton
            label={say("desk_choose")}
            multiple
            disabled={isBusy}
            choose={(files) => take(files.map((file) => ({ file })))}
          />
          <span class="aside">{say("desk_drop")}</span>
        </div>
        <label class="check">
          <input
            type="checkbox"
            checked={visible}
            disabled={isBusy}
            onChange={({ currentTarget }) => setVisible(currentTarget.checked)}
          />
          {say("desk_visible")}
        </label>
        <div role="status">
          {job && <Underway job={job} speech={speech} />}
          {told && (
            <p class="notice">
              <Foreign text={told.tell(speech)} />
            </p>
          )}
          {isClearing && <p class="warning">{say("desk_clear_ask", { count: unsaved.length })}</p>}
        </div>
      </div>
      {works.length > 0 && (
        <ul class="plain works" tabIndex={0} aria-label={say("desk_title")}>
          {works.map((work, i) => <li key={i}>{row(work)}</li>)}
        </ul>
      )}
      {job
        ? (
          <p class="actions">
            <button type="button" class="secondary" onClick={() => job.cancel.abort()}>
              {say("do_cancel")}
            </button>
          </p>
        )
        : isClearing
        ? (
          <p class="actions">
            <button type="button" class="secondary" onClick={() => setClearing(false)}>
              {say("sites_keep")}
            </button>
            <button type="button" class="danger" onClick={clear}>{say("desk_do_clear")}</button>
          </p>
        )
        : works.length > 0 && (
          <p class="actions">
            <button
              type="button"
              class="secondary"
              onClick={() => unsaved.length > 0 ? setClearing(true) : clear()}
            >
              {say("desk_clear")}
            </button>
            {left.length > 0 && (
              <button
                type="button"
                class="secondary"
                disabled={isBusy}
                onClick={() => startSigning(left)}
              >
                {say("desk_sign_left", { count: left.length })}
              </button>
            )}
            {unsaved.length > 1 && canSaveAll() && (
              <button
                type="button"
                onClick={() =>
                  save(
                    unsaved,
                    () => saveAll(unsaved.map(({ result }) => result!), unsaved[0]!.handle),
                  )}
              >
                {say("desk_save_all", { count: unsaved.length })}
              </button>
            )}
          </p>
        )}
    </section>
  );

  function clear() {
    setClearing(false);
    setWorks([]);
  }

  function row(work: Work): ComponentChildren {
    const { file, content, state, result, saved, report, handle } = work;
    return (
      <>
        <p class="name">
          <strong>
            <Foreign text={file.name} />
          </strong>
          {state === "signed" && <span class="good">{say("desk_signed")}</span>}
          {state === "left" && <span class="aside">{say("desk_left")}</span>}
          {state === "failed" && (
            <span class="bad">
              <Foreign text={failure(speech, work.error!.code, work.error!.message)} />
            </span>
          )}
          {report && report.signatures.length !== 1 && (
            <Verdict indication={report.indication} language={language} />
          )}
        </p>
        {result && (
          <p class="actions">
            <span class="aside time">
              <Foreign text={say(saved ? "desk_saved" : "desk_unsaved", { file: result.name })} />
            </span>
            <button type="button" class="secondary" onClick={() => download(result)}>
              {say(saved ? "desk_save_again" : "desk_save")}
            </button>
            {canSaveBeside() && (
              <button
                type="button"
                class="secondary"
                onClick={() => save([work], () => saveBeside(result, handle))}
              >
                {say("desk_save_beside")}
              </button>
            )}
          </p>
        )}
        {report && (
          <>
            <Report report={report} speech={speech} />
            <p class="actions">
              {isContentMissing(work) && (
                <FileButton
                  label={say("desk_content")}
                  secondary
                  disabled={isBusy}
                  choose={([content]) => checkWith(work, content!)}
                />
              )}
              {report.signatures.some(({ revocation }) => revocation.status === "unknown") && (
                <button
                  type="button"
                  class="secondary"
                  disabled={isBusy}
                  onClick={() => checkOnline(work)}
                >
                  {say("desk_ask_authorities")}
                </button>
              )}
              {isPdf(work) && !content && (
                <button
                  type="button"
                  class="secondary"
                  disabled={isBusy}
                  onClick={() => startSigning([work])}
                >
                  {say("desk_sign_too")}
                </button>
              )}
            </p>
          </>
        )}
      </>
    );
  }
}

interface TaskOptions {
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

function Underway({ job: { word, progress }, speech: { say } }: { job: Job; speech: Speech }) {
  const { phase, done, total } = progress ?? {};
  const isWaiting = phase === "waiting_for_person";
  return (
    <>
      <p>
        {isWaiting
          ? <strong>{say("desk_answer")}</strong>
          : phase === "signing" && total !== undefined
          ? say("desk_signing", { done: done ?? 0, total })
          : say(word)}
      </p>
      {!isWaiting && (
        <progress value={total ? (done ?? 0) / total : undefined} aria-label={say(word)} />
      )}
    </>
  );
}

/** Signed, and lost with the page. */
const isUnsaved = ({ result, saved }: Work): boolean => result !== undefined && !saved;

const isContentMissing = ({ report, content }: Work): boolean =>
  !content &&
  report!.signatures.some(({ findings }) =>
    findings.some(({ code }) => code === "content_missing")
  );

/** One after the other, so that many files do not fill the memory. */
async function inTurn<T>(items: readonly T[], task: (item: T) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (const item of items) results.push(await task(item));
  return results;
}

/** Files that were dropped, and where they lie if the browser tells; folders are left out. */
async function dropped(transfer: DataTransfer | null): Promise<Given[]> {
  // The list is empty as soon as the event is over.
  const items = Array.from(transfer?.items ?? []).filter(({ kind }) => kind === "file");
  const taken = items.map((item) => ({
    file: item.webkitGetAsEntry?.()?.isDirectory ? null : item.getAsFile(),
    handle: (item as WithHandle).getAsFileSystemHandle?.(),
  }));
  const given: Given[] = [];
  for (const { file, handle } of taken) {
    if (file) given.push({ file, handle: await handle?.catch(() => undefined) });
  }
  return given;
}

/** Of the File System Access API. */
type WithHandle = DataTransferItem & {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | undefined>;
};

/** Files can be dropped anywhere on the page, which the browser would leave to show them. */
function useDrop(take: (given: Given[]) => void): void {
  const taking = useRef(take);
  taking.current = take;
  useEffect(() => {
    const over = (event: DragEvent) => event.preventDefault();
    const drop = (event: DragEvent) => {
      event.preventDefault();
      dropped(event.dataTransfer).then((given) => taking.current(given));
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
    };
  }, []);
}

/** Has the browser ask before the page is left, while something would be lost. */
function useWarning(isNeeded: boolean): void {
  useEffect(() => {
    if (!isNeeded) return;
    const warn = (event: Event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isNeeded]);
}
