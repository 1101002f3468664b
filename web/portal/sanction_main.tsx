/** The Technical Sanction pages: `/sanction` to draft and sign, `/verify/ID` for everyone. */
import { render } from "preact";
import { SanctionPage } from "./sanction_page.tsx";
import { VerifyPage } from "./sanction_verify.tsx";

const [, verified] = /^\/verify\/([\w-]{1,64})$/.exec(location.pathname) ?? [];
render(verified ? <VerifyPage id={verified} /> : <SanctionPage />, document.body);
