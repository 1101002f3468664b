/** The pages of a PDF that is to be signed, one at a time, with what was signed in it before. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type {
  EarlierSignature,
  PdfAdditions,
  PdfFacts,
  PlacedBox,
  ShownRevision,
} from "../../protocol/consent.ts";
import type { Speech, Word } from "../../words/agent.ts";
import { Foreign } from "../parts.tsx";
import type { ConsentApi } from "./api.ts";
import { type Caveat, type PdfFile, printsOtherwise } from "./pdf_file.ts";

const ZOOMS = [1, 1.5, 2, 3, 4];
/** A larger canvas is not drawn by every browser, and takes too much memory. In pixels. */
const MAX_PIXELS = 16_000_000;

const CAVEATS: Record<Caveat, Word> = {
  scripts: "pdf_scripts",
  attached: "pdf_attached",
  layers: "pdf_layers",
  xfa: "pdf_xfa",
  unknown: "pdf_damaged",
};

type State = "loading" | "failed" | {
  file: PdfFile;
  facts: PdfFacts;
  revision: ShownRevision | null;
};

/** The signature that goes into the PDF. */
export interface Signed {
  /** `id` of the certificate; empty while none is chosen. */
  certificate: string;
  /** The revision of this digest has been drawn, with every place where the signature is seen. */
  drawn?(digest: string): void;
}

/** @param signed absent where the signature goes beside the PDF */
export function PdfView(
  { api, index, name, signed, speech }: {
    api: ConsentApi;
    index: number;
    name: string;
    signed?: Signed;
    speech: Speech;
  },
) {
  const { say } = speech;
  const [state, setState] = useState<State>("loading");
  const pages = useRef(new Set<number>());

  useEffect(() => {
    let file: PdfFile | undefined;
    let gone = false;
    (async () => {
      try {
        const facts = await api.signatures(index);
        const certificate = signed?.certificate;
        const revision = certificate ? await api.revision(index, certificate) : null;
        file = await api.openPdf(
          index,
          facts.password,
          certificate && revision ? { certificate, revision: revision.digest } : undefined,
        );
        if (gone) return file.close();
        setState({ file, facts, revision });
      } catch {
        // Not there any more, damaged beyond what pdf.js bears, or the agent went away: it says so elsewhere.
        if (!gone) setState("failed");
      }
    })();
    return () => {
      gone = true;
      file?.close();
    };
  }, []);

  if (state === "loading") {
    return <p class="aside" role="status" data-see="later">{say("pdf_loading")}</p>;
  }
  if (state === "failed") {
    return signed
      ? <p class="warning">{say("pdf_not_drawn")}</p>
      : <p class="notice" data-see="">{say("pdf_failed")}</p>;
  }
  const { revision } = state;
  const boxes = revision?.boxes ?? [];
  return (
    <>
      <BoxWarnings boxes={boxes} speech={speech} />
      {!state.facts.permitted && <p class="warning">{say("pdf_not_permitted")}</p>}
      {state.facts.damaged && <p class="warning">{say("pdf_damaged")}</p>}
      <Pages
        file={state.file}
        name={name}
        boxes={boxes}
        drawn={(page) => {
          pages.current.add(page);
          const isWhole = boxes.every((box) => pages.current.has(box.page));
          if (revision && isWhole) signed?.drawn?.(revision.digest);
        }}
        speech={speech}
      />
      <Earlier signatures={state.facts.signatures} speech={speech} />
    </>
  );
}

/** What is wrong with the places where a signature is seen. */
export function BoxWarnings({ boxes, speech: { say } }: { boxes: PlacedBox[]; speech: Speech }) {
  return boxes.map(({ page, overText, large }, i) => (
    <div key={i}>
      {overText && <p class="warning">{say("pdf_box_over_text", { page })}</p>}
      {overText === null && <p class="warning">{say("pdf_box_unknown", { page })}</p>}
      {large && <p class="warning">{say("pdf_box_large", { page })}</p>}
    </div>
  ));
}

export function Pages({ file, name, boxes = [], drawn: tell, speech }: {
  file: PdfFile;
  name: string;
  /** Where a signature is seen. */
  boxes?: PlacedBox[];
  /** A page has been drawn. */
  drawn?(page: number): void;
  speech: Speech;
}) {
  const { say } = speech;
  const [number, setNumber] = useState(boxes[0]?.page ?? 1);
  /** Of the page that is seen: its height in points, and the pixels of a point. */
  const [scale, setScale] = useState<{ page: number; height: number; point: number } | null>(null);
  const [zoom, setZoom] = useState(0);
  const [text, setText] = useState("");
  const [failed, setFailed] = useState(false);
  const [otherwise, setOtherwise] = useState(false);
  /** The view: page number and zoom. */
  const [drawn, setDrawn] = useState("");
  const frame = useRef<HTMLDivElement>(null);
  /** Of the frame, in CSS pixels: pages are as wide. */
  const [width, setWidth] = useState(0);
  const canvas = useRef<HTMLCanvasElement>(null);
  const count = file.document.numPages;

  useLayoutEffect(() => {
    const look = () => setWidth(frame.current!.clientWidth);
    const observer = new ResizeObserver(look);
    observer.observe(frame.current!);
    look();
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (width === 0) return;
    let task: { cancel(): void } | undefined;
    let gone = false;
    (async () => {
      try {
        const page = await file.document.getPage(number);
        if (gone) return;
        const whole = page.getViewport({ scale: 1 });
        const shown = (width / whole.width) * ZOOMS[zoom]!;
        const sharp = Math.min(
          globalThis.devicePixelRatio * shown,
          Math.sqrt(MAX_PIXELS / (whole.width * whole.height)),
        );
        const viewport = page.getViewport({ scale: sharp });
        // Drawn where it is not seen, so that the page before stays until this one is there.
        const buffer = document.createElement("canvas");
        buffer.width = Math.ceil(viewport.width);
        buffer.height = Math.ceil(viewport.height);
        const drawing = page.render({ canvas: buffer, viewport });
        task = drawing;
        await drawing.promise;
        const content = await page.getTextContent();
        const inPrint = await printsOtherwise(page);
        if (gone) return;
        const to = canvas.current!;
        to.width = buffer.width;
        to.height = buffer.height;
        to.style.width = `${Math.floor(whole.width * shown)}px`;
        to.getContext("2d")!.drawImage(buffer, 0, 0);
        setText(content.items.map((item) => "str" in item ? item.str : "").join(" "));
        setFailed(false);
        setOtherwise(inPrint);
        setDrawn(`${number} ${ZOOMS[zoom]}`);
        const unit = page.userUnit || 1;
        setScale({ page: number, height: whole.height / unit, point: shown * unit });
        tell?.(number);
      } catch {
        if (!gone) setFailed(true);
      }
    })();
    return () => {
      gone = true;
      task?.cancel();
    };
  }, [number, zoom, width]);

  const turn = (to: number) => setNumber(Math.max(1, Math.min(count, to)));
  return (
    <>
      {file.caveats.map((caveat) => (
        <p key={caveat} class="notice" data-see="">{say(CAVEATS[caveat])}</p>
      ))}
      <div class="pdf">
        <div class="pdf-tools" role="toolbar" aria-label={say("pdf_pages")}>
          <button
            type="button"
            class="secondary"
            disabled={number === 1}
            aria-label={say("pdf_previous")}
            onClick={() => turn(number - 1)}
          >
            ‹
          </button>
          <label>
            {say("pdf_page")}{" "}
            <input
              type="number"
              min={1}
              max={count}
              value={number}
              onChange={({ currentTarget }) => {
                turn(Math.trunc(Number(currentTarget.value)) || number);
              }}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                // The form is for signing.
                event.preventDefault();
                turn(Math.trunc(Number(event.currentTarget.value)) || number);
              }}
            />
          </label>
          <span aria-live="polite">{say("pdf_of", { count })}</span>
          <button
            type="button"
            class="secondary"
            disabled={number === count}
            aria-label={say("pdf_next")}
            onClick={() => turn(number + 1)}
          >
            ›
          </button>
          <span class="pdf-zoom">
            <button
              type="button"
              class="secondary"
              disabled={zoom === 0}
              aria-label={say("pdf_smaller")}
              onClick={() => setZoom(zoom - 1)}
            >
              −
            </button>
            <button
              type="button"
              class="secondary"
              disabled={zoom === ZOOMS.length - 1}
              aria-label={say("pdf_larger")}
              onClick={() => setZoom(zoom + 1)}
            >
              +
            </button>
          </span>
        </div>
        <div
          class="pdf-page"
          data-see={drawn || failed ? "beginning" : "later"}
          ref={frame}
          tabIndex={0}
          role="region"
          aria-label={say("pdf_page_of", { page: number, name })}
          data-drawn={drawn}
          onKeyDown={({ key }) => {
            if (key === "PageDown") turn(number + 1);
            if (key === "PageUp") turn(number - 1);
          }}
        >
          {failed && <p class="warning">{say("pdf_page_failed")}</p>}
          <canvas ref={canvas} aria-hidden="true" hidden={failed} />
          {scale && !failed &&
            boxes.filter(({ page }) => page === scale.page).map((each, i) => (
              <Box key={i} {...each} {...scale} speech={speech} />
            ))}
          <p class="unseen-but-read" dir="auto">{text}</p>
        </div>
      </div>
      {otherwise && <p class="notice" role="status" data-see="">{say("pdf_print")}</p>}
    </>
  );
}

/** The outline of a place where the signature is seen; it must have been in sight. */
function Box(
  { box: [left, bottom, right, top], overText, large, height, point, speech }: PlacedBox & {
    height: number;
    point: number;
    speech: Speech;
  },
) {
  const element = useRef<HTMLDivElement>(null);
  // By script: the page's policy has no styles in attributes.
  useLayoutEffect(() => {
    Object.assign(element.current!.style, {
      left: `${left * point}px`,
      top: `${(height - top) * point}px`,
      width: `${(right - left) * point}px`,
      height: `${(top - bottom) * point}px`,
    });
  });
  return (
    <div
      ref={element}
      class={overText || large ? "pdf-box bad" : "pdf-box"}
      role="img"
      aria-label={speech.say("pdf_box")}
      title={speech.say("pdf_box")}
      data-see="beginning"
    />
  );
}

function Earlier({ signatures, speech }: { signatures: EarlierSignature[]; speech: Speech }) {
  const { say, date } = speech;
  if (signatures.length === 0) return <p class="aside">{say("pdf_unsigned")}</p>;
  return (
    <>
      <h3>{say("pdf_earlier")}</h3>
      <ol class="earlier">
        {signatures.map((each) => (
          <li key={each.field}>
            <strong>
              {each.kind === "timestamp"
                ? say("pdf_timestamp")
                : each.signer !== null && !each.proven
                ? <Foreign text={say("route_claims", { name: each.signer })} />
                : <Foreign text={each.signer ?? say("pdf_signer_unknown")} />}
            </strong>
            {each.time && (
              <span class="aside">
                {" "}
                {say(each.timestamped ? "pdf_time_proven" : "pdf_time_claimed", {
                  date: date(each.time),
                })}
              </span>
            )}
            {each.status === "valid" && each.proven
              ? <p class="good">{say("pdf_status_proven")}</p>
              : (
                <p class={each.status === "valid" ? "aside" : "warning"}>
                  {say(`pdf_status_${each.status}`)}
                </p>
              )}
            {each.reason && (
              <p class="aside">
                <Foreign text={each.reason} />
              </p>
            )}
            {each.certifies && <p class="aside">{say(`pdf_certifies_${each.certifies}`)}</p>}
            {each.revision && <p class="aside">{say("pdf_covers_revision", each.revision)}</p>}
            {each.status !== "invalid" && <Changes signature={each} speech={speech} />}
          </li>
        ))}
      </ol>
    </>
  );
}

function Changes({ signature: { changes }, speech }: {
  signature: EarlierSignature;
  speech: Speech;
}) {
  const { say } = speech;
  if (changes === null) return <p class="warning">{say("pdf_changes_unknown")}</p>;
  if (changes.length === 0) return <p class="aside">{say("pdf_unchanged")}</p>;
  return (["forbidden", "unclear", "allowed"] as const).map((verdict) => {
    const judged = changes.filter((change) => change.verdict === verdict);
    return judged.length > 0 && (
      <details key={verdict} open={verdict !== "allowed"}>
        <summary>{say(`pdf_changes_${verdict}`, { count: judged.length })}</summary>
        <ul>
          {judged.map(({ kind, name }) => (
            <li class={verdict === "forbidden" ? "bad" : undefined}>
              {say(kindWord(kind))}: <Foreign text={name} />
            </li>
          ))}
        </ul>
      </details>
    );
  });
}

const KINDS: Record<string, Word> = {
  signature: "pdf_change_signature",
  timestamp: "pdf_change_timestamp",
  empty_signature_field: "pdf_change_field",
  form_field: "pdf_change_form",
  read_only: "pdf_change_read_only",
  annotation: "pdf_change_annotation",
  validation_data: "pdf_change_validation",
  metadata: "pdf_change_metadata",
};
const kindWord = (kind: string): Word => KINDS[kind] ?? "pdf_change_other";

/** Other content that the signature adds to the document. */
export function Additions({ adds, speech }: { adds: PdfAdditions; speech: Speech }) {
  const { say } = speech;
  const rows: [Word, string][] = [];
  if (adds.reason) rows.push(["pdf_adds_reason", adds.reason]);
  if (adds.location) rows.push(["pdf_adds_location", adds.location]);
  if (adds.field) rows.push(["pdf_adds_field", adds.field]);
  if (adds.visible?.anchor) rows.push(["pdf_adds_anchor", adds.visible.anchor]);
  if (adds.visible?.role) rows.push(["pdf_adds_role", adds.visible.role]);
  if (adds.visible?.qr) rows.push(["pdf_adds_qr", adds.visible.qr]);
  return (
    <>
      <p class="aside">
        {adds.visible
          ? adds.visible.page === null
            ? say(
              adds.visible.anchor === null ? "pdf_adds_visible_shown" : "pdf_adds_visible_anchor",
            )
            : say("pdf_adds_visible", { page: adds.visible.page })
          : say("pdf_adds_hidden")}
        {adds.level !== "B-B" && ` ${say("pdf_adds_timestamp")}`}
      </p>
      {adds.certify && <p class="notice" data-see="">{say(`pdf_adds_certify_${adds.certify}`)}</p>}
      {adds.locks && <p class="notice" data-see="">{say("pdf_adds_lock")}</p>}
      {rows.length > 0 && (
        <dl class="rows">
          {rows.map(([word, text]) => (
            <div key={word}>
              <dt>{say(word)}</dt>
              <dd>
                <Foreign text={text} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </>
  );
}
