/** Which of its views the page shows, in which language, and how it ends. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { OtpView } from "../../protocol/csc.ts";
import { type OtpWord, type Say, sayIn } from "../../words/otp.ts";
import { keepLanguage, keptLanguage } from "../language.ts";
import { Foreign, Languages } from "../parts.tsx";
import { otpApi } from "./api.ts";
import { ChangePin, SetPin, SignIn, StartChange } from "./pins.tsx";
import type { End } from "./end.ts";
import type { Session } from "./session.ts";
import { Sign } from "./sign.tsx";

export function Page({ session }: { session: Session }) {
  const { begin } = session;
  const [ticket, setTicket] = useState(typeof begin === "string" ? "" : begin.ticket);
  const [view, setView] = useState<OtpView | null>(null);
  const [language, setLanguage] = useState(() => keptLanguage(navigator.language));
  const [end, setEnd] = useState<End | null>(
    begin === "over"
      ? { word: session.portal ? "over" : "nothing", good: false, redirect: session.portal }
      : null,
  );
  const api = useMemo(() => otpApi(ticket), [ticket]);
  const say = sayIn(language);

  useEffect(() => {
    if (ticket === "") return;
    api.view().then((view) => {
      if (!view) {
        const { portal } = session;
        session.end();
        return setEnd({ word: portal ? "over" : "nothing", good: false, redirect: portal });
      }
      if ("portal" in view) session.enter(ticket, view.portal);
      setLanguage(keptLanguage(view.language));
      setView(view);
    }, () => setEnd({ word: "unavailable", good: false }));
  }, [api]);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = view
      ? `${view.service}: ${say(HEADINGS[view.kind])}`
      : ticket === "" && !end
      ? say("change")
      : "PIN/OTP";
  }, [language, view]);
  useEffect(() => {
    // not to come back to by the browser's Back
    if (end?.go && end.redirect) location.replace(end.redirect);
  }, [end]);

  const finish = (end: End) => {
    session.end();
    // A page that does not go back by itself has a link.
    setEnd(end.go ? end : { ...end, redirect: end.redirect ?? session.portal });
  };
  const goOn = (ticket: string) => {
    session.enter(ticket);
    setView(null);
    setTicket(ticket);
  };
  const props = { api, say, finish, goOn };
  return (
    <>
      <header>
        <p class="brand">
          <strong>
            <Foreign text={view?.service ?? "PIN/OTP"} />
          </strong>
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
        {end
          ? <Ended end={end} say={say} />
          : ticket === ""
          ? <StartChange {...props} />
          : view?.kind === "sign"
          ? <Sign view={view} language={language} {...props} />
          : view?.kind === "sign_in"
          ? <SignIn view={view} {...props} />
          : view?.kind === "change"
          ? <ChangePin view={view} language={language} {...props} />
          : view?.kind === "enrol"
          ? <SetPin view={view} {...props} />
          : <p role="status">{say("loading")}</p>}
      </main>
    </>
  );
}

const HEADINGS: Record<OtpView["kind"], OtpWord> = {
  sign: "ask",
  sign_in: "sign_in",
  change: "change",
  enrol: "enrol",
};

function Ended({ end, say }: { end: End; say: Say }) {
  const element = useRef<HTMLHeadingElement>(null);
  useEffect(() => element.current?.focus(), []);
  return (
    <div class={end.good ? "ended good" : "ended"} role="status">
      <h1 ref={element} tabIndex={-1}>{say(end.word)}</h1>
      {end.redirect && <a class="button" href={end.redirect}>{say("back")}</a>}
    </div>
  );
}
