// Figures as people read them, written as `formatting.py` writes them on the server.

const [MINUTE, HOUR, DAY] = [60, 3600, 86400];
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const hundredths = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const rounded = (value) => Math.floor(value + 0.5);
const signed = (text) => text.replace("-", "−");

/** What stands where there is no figure. */
export const NOTHING = "–";

/** How long something takes, of seconds: `4.2 s`, `25 min`, `1 h 2 min`, `3 d 4 h`. */
export function duration(seconds) {
  if (seconds < 0) return `−${duration(-seconds)}`;
  const scale = seconds < 1 ? 1000 : seconds < 10 ? 100 : 10;
  const short = rounded(seconds * scale) / scale;
  if (short < MINUTE) return `${short} s`;
  if (rounded(seconds) < HOUR) return inTwoUnits(rounded(seconds), [MINUTE, "min"], [1, "s"]);
  if (rounded(seconds / MINUTE) * MINUTE < DAY) {
    return inTwoUnits(rounded(seconds / MINUTE), [HOUR, "h"], [MINUTE, "min"]);
  }
  return inTwoUnits(rounded(seconds / HOUR), [DAY, "d"], [HOUR, "h"]);
}

function inTwoUnits(smalls, [large, largeName], [small, smallName]) {
  const rest = smalls % (large / small);
  const most = whole.format((smalls - rest) / (large / small));
  return rest ? `${most} ${largeName} ${rest} ${smallName}` : `${most} ${largeName}`;
}

/** A number, its thousands apart. */
export const count = (value) => signed(whole.format(value));

/** A ratio in per cent, with the four decimals that a snapshot's has. */
export const percent = (ratio) => signed(`${hundredths.format(ratio * 100)} %`);
