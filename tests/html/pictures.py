# SPDX-License-Identifier: MIT
"""The README's pictures: the page of a trace, light and dark.  `make pictures`

	pictures.py PAGE FOLDER
"""
import os
import sys
import tempfile

sys.dont_write_bytecode = True
from browser import Browser, Page  # noqa: E402

WIDTH, HEIGHT = 1100, 940

with tempfile.TemporaryDirectory() as home:
    browser = Browser(home)
    try:
        for scheme in ("light", "dark"):
            page = Page(browser, WIDTH, HEIGHT, scheme)
            page.open(sys.argv[1])
            # The pointer on the hottest cell of the second strip.
            page.move(*page.ask("""(({ cells, canvas, rows }) => {
                const b = canvas.getBoundingClientRect(), n = cells.n;
                const at = cells.at[n.indexOf(Math.max(...n))], col = at % heat.cols;
                return [b.x + (col + .5) / heat.cols * b.width,
                        b.y + ((at - col) / heat.cols + .5) / rows * b.height];
                })(heat.strips[1])"""))
            page.drawn()
            path = os.path.join(sys.argv[2], "report-%s.png" % scheme)
            page.picture(path)
            if os.path.getsize(path) > 150 * 1024:
                sys.exit("%s is larger than 150 KiB" % path)
    finally:
        browser.close()
