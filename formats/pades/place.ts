/** Placing a visible signature, also on cropped and rotated pages. */
import { FormatError } from "../error.ts";
import type { PdfDocument } from "../pdf/document.ts";
import type { Page } from "../pdf/form.ts";
import { drawingsOf } from "../pdf/pictures.ts";
import { PdfArray, PdfDict, type PdfValue } from "../pdf/value.ts";

/** Lower left and upper right corner. */
export type Rectangle = [x1: number, y1: number, x2: number, y2: number];

/**
 * A place on a page as it is displayed, in points from its lower left corner: a rectangle; or the first free one of a
 * size, from the lower left upwards; or the first free one of several. Free is what neither drawings nor annotations
 * take, nor `avoid`, which is where the text stands.
 */
export type Place =
  & { page: number }
  & (
    | { rectangle: Rectangle }
    | (
      & { avoid?: readonly Rectangle[] }
      & ({ size: [width: number, height: number] } | { near: readonly Rectangle[] })
    )
  );

/** Distance from the page's edges and between signatures where the place is chosen. */
const MARGIN = 36;
const GAP = 6;
/** Smallest side of a signature whose place is chosen. */
const MIN_SIDE = 10;
/** Comparisons with what is on a page before it counts as full. */
const MAX_TRIES = 5_000_000;
/** Lines or areas over more of the page are its background or its frame. */
const BACKGROUND = 0.5;
/** US Letter, where a page does not say its size. */
const DEFAULT_PAGE: Rectangle = [0, 0, 612, 792];

/** Drawing area of an appearance, in points. */
export interface Box {
  /** As the page is displayed. */
  width: number;
  height: number;
  /** Entry Matrix of the form: turns it upright on a rotated page. */
  matrix: readonly number[];
}

/** A rectangle in the page's own coordinates, and how to draw in it. */
export interface Spot {
  rectangle: Rectangle;
  box: Box;
}

/** Reads a rectangle with its corners in order (ISO 32000-2 §7.9.5). */
export function readRectangle(
  document: PdfDocument,
  value: PdfValue | undefined,
): Rectangle | undefined {
  const array = document.resolve(value);
  const corners = array instanceof PdfArray
    ? array.items.map((item) => document.resolve(item))
    : [];
  if (corners.length !== 4 || !corners.every((corner) => typeof corner === "number")) {
    return undefined;
  }
  return inOrder(corners as Rectangle);
}

function inOrder([x1, y1, x2, y2]: Rectangle): Rectangle {
  return [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
}

/** Visible area of a page: its CropBox within its MediaBox, turned by Rotate. */
class Display {
  readonly crop: Rectangle;
  readonly rotation: number;

  constructor(document: PdfDocument, page: Page) {
    const media = readRectangle(document, page.inherited("MediaBox")) ?? DEFAULT_PAGE;
    const crop = readRectangle(document, page.inherited("CropBox")) ?? media;
    const both: Rectangle = [
      Math.max(media[0], crop[0]),
      Math.max(media[1], crop[1]),
      Math.min(media[2], crop[2]),
      Math.min(media[3], crop[3]),
    ];
    this.crop = both[0] < both[2] && both[1] < both[3] ? both : media;
    const rotate = page.inherited("Rotate");
    this.rotation = quarter(typeof rotate === "number" ? rotate : 0);
  }

  get size(): [width: number, height: number] {
    const [x1, y1, x2, y2] = this.crop;
    return this.rotation % 180 === 0 ? [x2 - x1, y2 - y1] : [y2 - y1, x2 - x1];
  }

  toUser(x: number, y: number): [number, number] {
    const [x1, y1, x2, y2] = this.crop;
    switch (this.rotation) {
      case 90:
        return [x2 - y, y1 + x];
      case 180:
        return [x2 - x, y2 - y];
      case 270:
        return [x1 + y, y2 - x];
      default:
        return [x1 + x, y1 + y];
    }
  }

  fromUser(x: number, y: number): [number, number] {
    const [x1, y1, x2, y2] = this.crop;
    switch (this.rotation) {
      case 90:
        return [y - y1, x2 - x];
      case 180:
        return [x2 - x, y2 - y];
      case 270:
        return [y2 - y, x - x1];
      default:
        return [x - x1, y - y1];
    }
  }
}

const quarter = (degrees: number) => ((Math.round(degrees / 90) * 90) % 360 + 360) % 360;

/** How to draw upright in a rectangle of a page that is turned clockwise. */
export function boxOf([x1, y1, x2, y2]: Rectangle, rotation: number): Box {
  const across = quarter(rotation) % 180 !== 0;
  const [width, height] = across ? [y2 - y1, x2 - x1] : [x2 - x1, y2 - y1];
  const matrices: Record<number, number[]> = {
    0: [1, 0, 0, 1, 0, 0],
    90: [0, 1, -1, 0, height, 0],
    180: [-1, 0, 0, -1, width, height],
    270: [0, -1, 1, 0, 0, width],
  };
  return { width, height, matrix: matrices[quarter(rotation)] };
}

/**
 * Finds the rectangle of a place.
 *
 * @throws FormatError `invalid_argument` for a place outside the page; `no_room` when no place is free
 */
export function findSpot(document: PdfDocument, page: Page, place: Place): Spot {
  const display = new Display(document, page);
  const [width, height] = display.size;
  const chosen = "rectangle" in place
    ? inOrder(place.rectangle)
    : freePlace(place, display.size, [...taken(document, page, display), ...place.avoid ?? []]);
  const [x1, y1, x2, y2] = chosen;
  if (!chosen.every(Number.isFinite) || x1 < 0 || y1 < 0 || x2 > width || y2 > height) {
    throw new FormatError(
      "invalid_argument",
      `The signature's rectangle is not on page ${place.page}, which is ${Math.floor(width)} by ` +
        `${Math.floor(height)} points.`,
    );
  }
  if (x2 - x1 < 1 || y2 - y1 < 1) {
    throw new FormatError(
      "invalid_argument",
      "The signature's rectangle is too small to see. Make it larger.",
    );
  }
  const rectangle = inOrder([...display.toUser(x1, y1), ...display.toUser(x2, y2)]);
  return { rectangle, box: boxOf(rectangle, display.rotation) };
}

/** Where a rectangle of a page's own coordinates is seen as the page is displayed, and how much of the page it takes. */
export function displayedPlace(
  document: PdfDocument,
  page: Page,
  [x1, y1, x2, y2]: Rectangle,
): { box: Rectangle; share: number } {
  const display = new Display(document, page);
  const [width, height] = display.size;
  const whole = inOrder([...display.fromUser(x1, y1), ...display.fromUser(x2, y2)]);
  const box = common(whole, [0, 0, width, height]);
  return { box, share: (box[2] - box[0]) * (box[3] - box[1]) / (width * height) };
}

/** The intersection of two rectangles; empty if they do not overlap. */
function common(a: Rectangle, b: Rectangle): Rectangle {
  const [x, y] = [Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  return [x, y, Math.max(x, Math.min(a[2], b[2])), Math.max(y, Math.min(a[3], b[3]))];
}

/** The part of a rectangle of a page's own coordinates that can be seen; without extent where there is none. */
export const visiblePart = (document: PdfDocument, page: Page, rectangle: Rectangle): Rectangle =>
  common(rectangle, new Display(document, page).crop);

/** Where annotations and drawings are on the page as it is displayed. */
function taken(document: PdfDocument, page: Page, display: Display): Rectangle[] {
  const annotations = (document.array(page.dict, "Annots")?.items ?? []).flatMap((item) => {
    const annotation = document.resolve(item);
    const rect = annotation instanceof PdfDict && readRectangle(document, annotation.get("Rect"));
    return rect && rect[0] !== rect[2] && rect[1] !== rect[3] ? [rect] : [];
  });
  const [width, height] = display.size;
  const drawings = drawingsOf(document, page).filter(({ box, isImage }) => {
    const [x1, y1, x2, y2] = common(box, display.crop);
    return isImage || (x2 - x1) * (y2 - y1) <= BACKGROUND * width * height;
  });
  return [...annotations, ...drawings.map(({ box }) => box)].map(([x1, y1, x2, y2]) =>
    inOrder([...display.fromUser(x1, y1), ...display.fromUser(x2, y2)])
  );
}

function freePlace(
  place: Exclude<Place, { rectangle: Rectangle }>,
  [right, top]: [number, number],
  taken: readonly Rectangle[],
): Rectangle {
  if ("near" in place) {
    const free = place.near.find((box) =>
      box[0] >= 0 && box[1] >= 0 && box[2] <= right && box[3] <= top && !blockOf(box, taken)
    );
    if (free) return free;
    throw new FormatError(
      "no_room",
      `There is no free space beside that text on page ${place.page} for a signature of this size. Choose another ` +
        "text, a smaller size, or a rectangle.",
    );
  }
  const [width, height] = place.size;
  if (!(width >= MIN_SIDE && height >= MIN_SIDE)) {
    throw new FormatError(
      "invalid_argument",
      `The signature must be at least ${MIN_SIDE} points high.`,
    );
  }
  let tries = 0;
  // A page may say that it is larger than any number of steps.
  search: for (let y = MARGIN; y + height <= top - MARGIN; y += GAP) {
    for (let x = MARGIN; x + width <= right - MARGIN;) {
      if ((tries += taken.length + 1) > MAX_TRIES) break search;
      const block = blockOf([x, y, x + width, y + height], taken);
      if (!block) return [x, y, x + width, y + height];
      x = Math.max(x + 1, block[2] + GAP);
    }
  }
  throw new FormatError(
    "no_room",
    `Page ${place.page} has no free space of ${width} by ${height} points for the signature. Choose another page, a ` +
      "smaller size, or a rectangle.",
  );
}

/** The first of some boxes that covers a part of one. */
const blockOf = ([x1, y1, x2, y2]: Rectangle, taken: readonly Rectangle[]) =>
  taken.find((other) => other[2] > x1 && other[0] < x2 && other[3] > y1 && other[1] < y2);
