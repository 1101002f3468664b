/** The page of the popup bridge: `/bridge`. */
import { render } from "preact";
import { Bridge } from "./page.tsx";

render(<Bridge opener={globalThis.opener} />, document.body);
