/** What is signed: one document, a list of many, or hashes alone. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ConsentItem, LookedAt } from "../../protocol/consent.ts";
import type { Speech } from "../../words/agent.ts";
import { Foreign, Section } from "../parts.tsx";
import { isObject, kindOf, readableJson, sizeOf } from "../text.ts";
import type { ConsentApi } from "./api.ts";
import { Additions, PdfView, type Signed } from "./pdf_view.tsx";
import { Signers } from "./signers.tsx";

/** A code of many digits, in groups of four so that two can be compared by eye. */
function Digits({ hex }: { hex: string }) {
  return <code class="digits">{hex.match(/.{1,4}/g)?.join(" ")}</code>;
}

export function Documents(
  { items, blind, batch, signed, api, speech }: {
    items: ConsentItem[];
    /** The certificate, and who hears that what is signed has been drawn. */
    signed: Signed;
    blind: boolean;
    /** SHA-256 of the list (hex), where the documents come later. */
    batch?: string;
    api: ConsentApi;
    speech: Speech;
  },
) {
  const { say } = speech;
  const many = items.length > 1;
  if (blind) {
    return (
      <Section
        title={many ? say("blind_items", { count: items.length }) : say("blind_items_one")}
      >
        <ol class="digests" data-see="beginning">
          {items.map((item) => (
            <li>
              <span class="aside">
                {say("fingerprint", { algorithm: item.hash.algorithm })}
              </span>
              <Digits hex={item.hash.hex} />
            </li>
          ))}
        </ol>
      </Section>
    );
  }
  return (
    <Section title={many ? say("items_many", { count: items.length }) : say("items_one")}>
      {batch && (
        <p class="aside">
          {say("batch_explain")} {say("fingerprint", { algorithm: "SHA-256" })}
          <Digits hex={batch} />
        </p>
      )}
      {many
        ? (
          <DocumentList
            items={items}
            batched={batch !== undefined}
            signed={{ certificate: signed.certificate }}
            api={api}
            speech={speech}
          />
        )
        : (
          <Document
            item={items[0]!}
            index={0}
            batched={batch !== undefined}
            signed={signed}
            api={api}
            speech={speech}
          />
        )}
    </Section>
  );
}

/** So many of a batch are shown at a time. */
const PAGE = 50;

/** Up to so many need no search, and files of a container, which are all here, are shown like a single document. */
const FEW = 5;

/** Many documents: their names, to be searched, each to be opened. */
function DocumentList(
  { items, batched, signed, api, speech }: {
    items: ConsentItem[];
    batched: boolean;
    signed: Signed;
    api: ConsentApi;
    speech: Speech;
  },
) {
  const { say } = speech;
  const [wanted, setWanted] = useState("");
  const atOnce = batched ? PAGE : items.length;
  const [shown, setShown] = useState(atOnce);
  const needle = wanted.trim().toLocaleLowerCase();
  const found = items
    .map((item, index) => ({ item, index }))
    .filter(({ item }) => item.name.toLocaleLowerCase().includes(needle));
  const whole = (item: ConsentItem, index: number) => (
    <Document
      key={index}
      item={item}
      index={index}
      batched={batched}
      signed={signed}
      api={api}
      speech={speech}
    />
  );
  if (!batched && items.length <= FEW) return items.map(whole);
  return (
    <>
      {!batched && <Signers item={items[0]!} speech={speech} />}
      {items.length > FEW && (
        <p class="search">
          <label for="search">{say("items_search")}</label>
          <input
            id="search"
            type="search"
            value={wanted}
            onInput={({ currentTarget }) => {
              setWanted(currentTarget.value);
              setShown(atOnce);
            }}
            onKeyDown={(event) => {
              // The form is for signing.
              if (event.key === "Enter") event.preventDefault();
            }}
          />
          <span class="aside" role="status">{say("items_found", { count: found.length })}</span>
        </p>
      )}
      {found.slice(0, shown).map(({ item, index }) => (
        <Opened
          key={index}
          mustSee={!batched}
          title={
            <>
              <Foreign text={item.name === "" ? say("items_unnamed") : item.name} />{" "}
              <span class="aside">
                <Foreign text={factsLine(item, speech)} />
              </span>
            </>
          }
        >
          {whole(item, index)}
        </Opened>
      ))}
      {found.length > shown && (
        <button
          type="button"
          class="secondary"
          onClick={() => setShown(shown + PAGE)}
        >
          {say("items_more", { count: found.length - shown })}
        </button>
      )}
    </>
  );
}

/** A section that renders its content only when opened. */
function Opened({ title, mustSee, children }: {
  title: ComponentChildren;
  mustSee: boolean;
  children: ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  return (
    <details class="listed" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary data-see={mustSee ? "" : undefined}>{title}</summary>
      {open && children}
    </details>
  );
}

function factsLine(item: ConsentItem, { say, number }: Speech): string {
  const kind = kindOf(item.mediaType);
  return [
    kind ? say(`kind_${kind}`) : item.mediaType,
    item.size === null ? "" : sizeOf(item.size, number),
  ].filter(Boolean).join(", ");
}

function Document(
  { item, index, batched, signed, api, speech }: {
    item: ConsentItem;
    index: number;
    batched: boolean;
    signed: Signed;
    api: ConsentApi;
    speech: Speech;
  },
) {
  const { say } = speech;
  return (
    <article class="document">
      <p class="name" data-see="">
        {item.name !== "" && (
          <strong>
            <Foreign text={item.name} />
          </strong>
        )}
        <span class="aside">
          <Foreign text={factsLine(item, speech)} />
        </span>
      </p>
      <Signers item={item} speech={speech} />
      {item.pdf?.adds && <Additions adds={item.pdf.adds} speech={speech} />}
      {item.pdf
        ? (
          <PdfView
            // Each certificate's signature is a revision of its own.
            key={item.pdf.adds ? signed.certificate : ""}
            api={api}
            index={index}
            name={item.name}
            signed={item.pdf.adds ? signed : undefined}
            speech={speech}
          />
        )
        : <Text item={item} index={index} api={batched ? api : null} speech={speech} />}
      <details>
        <summary>{say("details")}</summary>
        <p class="aside">
          {say("fingerprint", { algorithm: item.hash.algorithm })}
          <Digits hex={item.hash.hex} />
        </p>
      </details>
    </article>
  );
}

/** The text of an item. @param api loads the text when the item is opened; null if it came with the item */
function Text(
  { item, index, api, speech }: {
    item: ConsentItem;
    index: number;
    api: ConsentApi | null;
    speech: Speech;
  },
) {
  const { say } = speech;
  const [looked, setLooked] = useState<LookedAt | "loading" | null>(api ? "loading" : item);
  useEffect(() => {
    if (api) api.look(index).catch(() => null).then(setLooked);
  }, []);
  if (looked === "loading") {
    return <p class="aside" role="status" data-see="later">{say("loading")}</p>;
  }
  if (api && looked?.pdf) {
    return <PdfView api={api} index={index} name={item.name} speech={speech} />;
  }
  const preview = looked?.preview ?? null;
  // A site that wants nobody to read it may have made it so.
  if (preview === null) return <p class="notice" data-see="">{say("not_shown")}</p>;
  const { text, truncated } = preview;
  const json = truncated ? null : readableJson(text, item.written?.json);
  if (!json) {
    return (
      <>
        {truncated && <p class="notice" data-see="">{say("truncated")}</p>}
        <Preview text={text} />
      </>
    );
  }
  return (
    <>
      <Rows value={json} labels={item.written?.labels ?? {}} speech={speech} />
      <details>
        <summary>{say("exact_text")}</summary>
        <Preview text={text} />
      </details>
    </>
  );
}

function Preview({ text }: { text: string }) {
  return <pre class="preview" data-see="beginning"><Foreign text={text} /></pre>;
}

/** JSON for people: one row a member. */
function Rows({ value, labels, speech }: {
  value: { [name: string]: unknown };
  /** The page's words for names: beside what is signed, never instead of it. */
  labels: Readonly<Record<string, string>>;
  speech: Speech;
}) {
  return (
    <dl class="rows" data-see="beginning">
      {Object.entries(value).map(([name, each]) => (
        <div>
          <dt>
            <Foreign text={name} />
            {Object.hasOwn(labels, name) && (
              <span class="label">
                <Foreign text={labels[name]!} />
              </span>
            )}
          </dt>
          <dd>
            <Value value={each} labels={labels} speech={speech} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Value({ value, labels, speech }: {
  value: unknown;
  labels: Readonly<Record<string, string>>;
  speech: Speech;
}) {
  const { say } = speech;
  if (Array.isArray(value) && value.length > 0) {
    return (
      <ol>
        {value.map((each) => (
          <li>
            <Value value={each} labels={labels} speech={speech} />
          </li>
        ))}
      </ol>
    );
  }
  if (isObject(value) && Object.keys(value).length > 0) {
    return <Rows value={value} labels={labels} speech={speech} />;
  }
  if (typeof value === "boolean") return <>{say(value ? "yes" : "no")}</>;
  if (typeof value === "string" && value !== "") return <Foreign text={value} />;
  if (typeof value === "number") return <>{String(value)}</>;
  return <span class="aside">{say("none")}</span>;
}
