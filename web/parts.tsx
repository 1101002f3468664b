/** Shared parts of the pages. */
import { type ComponentChildren, Fragment } from "preact";
import type { Certificate, Token } from "../protocol/methods.ts";
import { type Language, LANGUAGES, type Speech } from "../words/agent.ts";
import { commonNameOf, originParts, pieces } from "./text.ts";

/** The choice of language. `label`: what it is called in the language that is chosen. */
export function Languages(
  { chosen, label, choose }: {
    chosen: Language;
    label: string;
    choose: (language: Language) => void;
  },
) {
  return (
    <nav class="languages" aria-label={label}>
      {Object.entries(LANGUAGES).map(([tag, name]) => (
        <button
          key={tag}
          type="button"
          lang={tag}
          aria-pressed={tag === chosen}
          onClick={() => choose(tag as Language)}
        >
          {name}
        </button>
      ))}
    </nav>
  );
}

/** The product's name and the choice of language. */
export function Header(
  { speech: { language, say }, choose, children }: {
    speech: Speech;
    choose: (language: Language) => void;
    children?: ComponentChildren;
  },
) {
  return (
    <header>
      <p class="brand">
        <strong>D-Sign</strong> <span>{say("brand_line")}</span>
      </p>
      {children}
      <Languages chosen={language} label={say("language")} choose={choose} />
    </header>
  );
}

/** Text from outside: nothing in it is markup, nothing invisible stays so, and its direction ends with it. */
export function Foreign({ text }: { text: string }) {
  return (
    <bdi>
      {pieces(text).map((piece, index) =>
        typeof piece === "string" ? piece : <span key={index} class="unseen">{piece.unseen}</span>
      )}
    </bdi>
  );
}

/** A site's origin. A line breaks between the parts of its name, never within one. */
export function Origin({ origin }: { origin: string }) {
  const { scheme, host } = originParts(origin);
  return (
    <>
      <span class="scheme">{scheme}</span>
      <wbr />
      <strong>
        {host.split(/(?<=\.)/).map((part, i) => (
          <Fragment key={i}>
            {i > 0 && <wbr />}
            {part}
          </Fragment>
        ))}
      </strong>
    </>
  );
}

export function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** A button by which files are chosen; a browser's own would speak the browser's language. */
export function FileButton(
  { label, secondary = false, disabled = false, choose, ...input }: {
    label: string;
    secondary?: boolean;
    disabled?: boolean;
    multiple?: boolean;
    accept?: string;
    choose: (files: File[]) => void;
  },
) {
  return (
    <label class={secondary ? "button secondary" : "button"}>
      {label}
      <input
        {...input}
        class="unseen-but-read"
        type="file"
        disabled={disabled}
        onChange={({ currentTarget }) => {
          const files = [...currentTarget.files ?? []];
          currentTarget.value = ""; // the same file can be chosen again
          if (files.length > 0) choose(files);
        }}
      />
    </label>
  );
}

/** The facts about a certificate that a person knows it by. */
export function CertificateFacts(
  { certificate, token, speech }: { certificate: Certificate; token?: Token; speech: Speech },
) {
  const { say, date } = speech;
  const level = certificate.class === null
    ? say("class_unknown")
    : certificate.class === "otp_ekyc"
    ? say("class_otp_ekyc")
    : say("class", { class: Number(certificate.class) });
  return (
    <span class="facts">
      <strong>
        <Foreign text={certificate.commonName} />
      </strong>
      <span>{level} · {say("valid_until", { date: date(certificate.notAfter) })}</span>
      <span class="aside">
        <Foreign text={say("issued_by", { issuer: commonNameOf(certificate.issuer) })} />
        {token && (
          <>
            {" · "}
            <Foreign text={say("on_token", { token: token.label || token.model })} />
          </>
        )}
      </span>
    </span>
  );
}
