/** On the page before an eSign service: the pages of the document, and the Escape key. The page works without it. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { languageOf, speak } from "../../words/agent.ts";
import { openPdf, type PdfFile } from "../consent/pdf_file.ts";
import { Pages } from "../consent/pdf_view.tsx";

function Document({ url, name }: { url: string; name: string }) {
  const speech = speak(languageOf(document.documentElement.lang));
  const [file, setFile] = useState<PdfFile | "loading" | "failed">("loading");
  useEffect(() => {
    openPdf(url, "", null).then(setFile, () => setFile("failed"));
  }, []);
  if (file === "loading") return <p class="aside" role="status">{speech.say("pdf_loading")}</p>;
  if (file === "failed") return <p class="notice">{speech.say("pdf_failed")}</p>;
  return <Pages file={file} name={name} speech={speech} />;
}

const pages = document.querySelector<HTMLElement>("#pages");
if (pages) {
  const { url, name } = pages.dataset;
  render(<Document url={url!} name={name!} />, pages);
  addEventListener("keydown", ({ key, isComposing }) => {
    if (key === "Escape" && !isComposing) {
      document.querySelector<HTMLFormElement>("#reject")!.requestSubmit();
    }
  });
}
