// The frame of the page is painted first, then the rest begins; a page in the background is never painted.
let begun = false;
const begin = () => {
  if (begun) return;
  begun = true;
  import("./main.js");
};
requestAnimationFrame(() => setTimeout(begin));
setTimeout(begin, 250);
