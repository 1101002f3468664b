/** One document that is signed: its pages, its text, or that it is signed blind. */
import { useEffect, useState } from "preact/hooks";
import type { OtpDocument } from "../../protocol/csc.ts";
import type { Speech } from "../../words/agent.ts";
import type { Say } from "../../words/otp.ts";
import type { PdfFile } from "../consent/pdf_file.ts";
import { Pages } from "../consent/pdf_view.tsx";
import { Foreign } from "../parts.tsx";
import { sizeOf } from "../text.ts";
import type { OtpApi } from "./api.ts";

export function Document({ document, index, api, algorithm, say, speech }: {
  document: OtpDocument;
  index: number;
  api: OtpApi;
  algorithm: string;
  say: Say;
  speech: Speech;
}) {
  const { shown } = document;
  return (
    <article class="document">
      <p class="name">
        <strong>
          <Foreign text={document.label} />
        </strong>
        {shown && (
          <span class="aside">
            <Foreign text={shown.name} />, {sizeOf(shown.size, speech.number)}
          </span>
        )}
      </p>
      <p>
        {say("hash")} <code class="prefix">{document.hashPrefix}</code>
      </p>
      {!shown
        ? <p class="warning">{say("not_shown")}</p>
        : shown.as === "text"
        ? <pre class="preview"><Foreign text={shown.text ?? ""} /></pre>
        : shown.as === "pdf"
        ? <Pdf api={api} index={index} label={document.label} say={say} speech={speech} />
        : <p class="aside">{say("not_preview")}</p>}
      {shown?.truncated && <p class="notice">{say("truncated")}</p>}
      {shown && <Save api={api} index={index} name={shown.name} say={say} />}
      <details>
        <summary>{say("hash_whole", { algorithm })}</summary>
        <code class="digits">{document.hash.match(/.{1,4}/g)!.join(" ")}</code>
      </details>
    </article>
  );
}

function Pdf({ api, index, label, say, speech }: {
  api: OtpApi;
  index: number;
  label: string;
  say: Say;
  speech: Speech;
}) {
  const [file, setFile] = useState<PdfFile | "loading" | "failed">("loading");
  useEffect(() => {
    let opened: PdfFile | undefined;
    let gone = false;
    api.openPdf(index).then((file) => {
      if (gone) return file.close();
      setFile(opened = file);
    }, () => gone || setFile("failed"));
    return () => {
      gone = true;
      opened?.close();
    };
  }, []);
  if (file === "loading") return <p class="aside" role="status">{say("loading")}</p>;
  if (file === "failed") return <p class="notice">{say("pages_failed")}</p>;
  return <Pages file={file} name={label} speech={speech} />;
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
