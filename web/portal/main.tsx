/** The sample treasury page. */
import { render } from "preact";
import { Portal } from "./page.tsx";

render(<Portal />, document.body);
