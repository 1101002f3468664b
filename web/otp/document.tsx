/** One document that is signed: its pages, its text, or that it is signed blind. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { PlacedBox } from "../../protocol/consent.ts";
import type { OtpDocument } from "../../protocol/csc.ts";
import type { Speech } from "../../words/agent.ts";
import type { Say } from "../../words/otp.ts";
import { isOverText, type PdfFile } from "../consent/pdf_file.ts";
import { BoxWarnings, Pages } from "../consent/pdf_view.tsx";
import { Foreign } from "../parts.tsx";
import { sizeOf } from "../text.ts";
import type { OtpApi } from "./api.ts";

/** @param drawn called once all of it is there that will be shown */
export function Document({ document, index, api, algorithm, drawn, say, speech }: {
  document: OtpDocument;
  index: number;
  api: OtpApi;
  algorithm: string;
  drawn(): void;
  say: Say;
  speech: Speech;
}) {
  const { shown } = document;
  useEffect(() => {
    if (shown?.as !== "pdf") drawn();
  }, []);
  return (
    <article class="document">
      <p class="name" data-see="">
        <strong>
          <Foreign text={document.label} />
        </strong>
        {shown && (
          <span class="aside">
            {shown.name !== document.label && (
              <>
                <Foreign text={shown.name} />
                {", "}
              </>
            )}
            {sizeOf(shown.size, speech.number)}
          </span>
        )}
      </p>
      <p>
        {say("hash")} <code class="prefix">{document.hashPrefix}</code>
      </p>
      {shown?.truncated && <p class="notice" data-see="">{say("truncated")}</p>}
      {!shown
        ? <p class="warning">{say("not_shown")}</p>
        : shown.as === "text"
        ? <pre class="preview" data-see="beginning"><Foreign text={shown.text ?? ""} /></pre>
        : shown.as === "pdf"
        ? (
          <Pdf
            api={api}
            index={index}
            label={document.label}
            drawn={drawn}
            say={say}
            speech={speech}
          />
        )
        : <p class="aside" data-see="">{say("not_preview")}</p>}
      {shown && <Save api={api} index={index} name={shown.name} say={say} />}
      <details>
        <summary>{say("hash_whole", { algorithm })}</summary>
        <code class="digits">{document.hash.match(/.{1,4}/g)!.join(" ")}</code>
      </details>
    </article>
  );
}

function Pdf({ api, index, label, drawn, say, speech }: {
  api: OtpApi;
  index: number;
  label: string;
  drawn(): void;
  say: Say;
  speech: Speech;
}) {
  const [state, setState] = useState<
    { file: PdfFile; boxes: PlacedBox[] } | "loading" | "failed"
  >("loading");
  const pages = useRef(new Set<number>());
  useEffect(() => {
    let opened: PdfFile | undefined;
    let gone = false;
    (async () => {
      const file = opened = await api.openPdf(index);
      const places = await api.places(index);
      const boxes = await Promise.all(places.map(async (place): Promise<PlacedBox> => ({
        ...place,
        overText: await isOverText(file, place).catch(() => null),
      })));
      if (!gone) setState({ file, boxes });
    })().catch(() => {
      if (gone) return;
      setState("failed");
      drawn();
    });
    return () => {
      gone = true;
      opened?.close();
    };
  }, []);
  if (state === "loading") return <p class="aside" role="status">{say("loading")}</p>;
  if (state === "failed") return <p class="warning">{say("pages_failed")}</p>;
  const { file, boxes } = state;
  return (
    <>
      <BoxWarnings boxes={boxes} speech={speech} />
      <Pages
        file={file}
        name={label}
        boxes={boxes}
        drawn={(page) => {
          pages.current.add(page);
          if (boxes.every((box) => pages.current.has(box.page))) drawn();
        }}
        speech={speech}
      />
    </>
  );
}

/** Only to look at: what is saved is what is signed. */
function Save({ api, index, name, say }: { api: OtpApi; index: number; name: string; say: Say }) {
  return (
    <button
      type="button"
      class="secondary small"
      onClick={async () => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(await api.document(index));
        link.download = name;
        link.click();
        URL.revokeObjectURL(link.href);
      }}
    >
      {say("save")}
    </button>
  );
}
