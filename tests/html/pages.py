# SPDX-License-Identifier: MIT
"""What a report's page does in a browser.

	pages.py FOLDER		of known.html, known.json (report --json --heatmap), real.html,
				real.json and hostile.html, made by tests/cli/html.sh

One browser for all cases; each opens a page of its own.  What a page complains of, what
it asks the network for and what its policy has stopped is looked at after each.
"""
import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
from browser import Browser, Page, browser_program  # noqa: E402

FOLDER = sys.argv[1]


def known_json(name="known"):
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def same(got, wanted, what):
    assert got == wanted, "%s: %r, not %r" % (what, got, wanted)


class Shown:
    """A page, opened; checked for silence when it is left."""

    def __init__(self, browser, name, **how):
        self.page = Page(browser, **how)
        self.path = os.path.join(FOLDER, name + ".html")

    def __enter__(self):
        self.page.open(self.path)
        self.page.drawn()
        return self.page

    def __exit__(self, kind, value, trace):
        if kind:
            return
        page = self.page
        page.drawn()
        same(page.complaints, [], "complaints")
        same(page.ask("window.refused"), [], "stopped by the policy")
        same(page.requests, ["file://" + os.path.abspath(self.path)], "requests")
        same(page.dialogs, [], "dialogs")
        page.close()


def strip_box(page, i):
    return page.ask("""(() => { const c = heat.strips[%d].canvas;
        c.scrollIntoView({ block: "center" }); const b = c.getBoundingClientRect();
        return { x: b.x, y: b.y, w: b.width, h: b.height }; })()""" % i)


def cell_point(box, rows, cols, row, col):
    """The middle of a cell in the window; row 0 has the lowest addresses, at the bottom."""
    return (box["x"] + (col + .5) / cols * box["w"],
            box["y"] + (rows - row - .5) / rows * box["h"])


def tip(page):
    page.drawn()
    return page.ask('byId("tip").hidden ? "" : byId("tip").textContent').split("\n")


def map_named(report, name):
    return next(m for m in report["heat"]["maps"] if m["label"] == name)


def cells(heat_map, wide=1):
    """(row, column, count) of what is not empty, rows by address; so many columns as one."""
    rows = sorted(heat_map["rows"], key=lambda row: row["page"])
    sums = {}
    for i, row in enumerate(rows):
        for column, n in enumerate(row["cells"]):
            sums[i, column // wide] = sums.get((i, column // wide), 0) + n
    return [(i, column, n) for (i, column), n in sums.items() if n]


def strip_index(page, name):
    return page.ask("heat.strips.findIndex(s => s.map.name === %s)" % json.dumps(name))


def check_hover(page, report, name, wanted):
    """Some cells: what the page says of them is what `report --json` says."""
    heat, heat_map = report["heat"], map_named(report, name)
    i, rows = strip_index(page, name), sorted(heat_map["rows"], key=lambda row: row["page"])
    same(page.ask("heat.strips[%d].rows" % i), len(rows), "rows of " + name)
    box, cols = strip_box(page, i), page.ask("heat.cols")
    for row, col, n in wanted:
        page.move(*cell_point(box, len(rows), cols, row, col))
        said = tip(page)
        same(said[0], name, "the mapping")
        first = int(rows[row]["addr"], 16)
        last = first + heat_map["row_pages"] * report["trace"]["page_size"] - 1
        same(said[1].split(" (")[0], "0x%x \u2013 0x%x" % (first, last), "the addresses")
        same(said[2], "%s write%s" % (format(n, ","), "" if n == 1 else "s"), "the count")
        begin, end = [float(t.split()[0]) for t in said[3].split(" \u2013 ")]
        step = page.ask("report.heat.step") / 1e9
        assert abs(begin - heat["ts"] / 1e9 - col * step) <= step / 10, said[3]
        assert abs(end - begin - step) <= step / 10, said[3]


# ---- the cases ----------------------------------------------------------------------------


def case_totals(browser):
    report = known_json()
    with Shown(browser, "known") as page:
        text = page.ask('byId("totals").innerText')
        for n in (report["total"]["written"], report["total"]["pages"]):
            assert format(n, ",") in text, "%d is not in %r" % (n, text)
        said = page.ask('byId("losses").innerText')
        assert "17 records lost: the output was too slow" in said, said
        assert "1 gap of 870 ms: left alone for a while" in said, said
        red = page.ask('getComputedStyle(document.querySelector(".alert")).color')
        same(red, "rgb(179, 20, 30)", "the colour of the losses")
        # They are what is read first.
        order = page.ask('[...document.querySelectorAll("#report > section")].map(s => s.id)')
        same(order[0], "losses", "the first part")


def case_heat_is_drawn(browser):
    report = known_json()
    with Shown(browser, "known") as page:
        for name in ("[heap]", "anon"):
            i, heat_map = strip_index(page, name), map_named(report, name)
            colors = page.ask("""(() => { const s = heat.strips[%d], c = s.canvas;
                const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
                const at = (row, col) => { const k = 4 * (Math.floor((s.rows - row - .5) /
                    s.rows * c.height) * c.width + Math.floor((col + .5) / heat.cols * c.width));
                    return d.slice(k, k + 3).join(); };
                return { empty: heat.colors.slice(0, 3).join(), rows: s.rows, cols: heat.cols,
                    all: new Set(Array.from({ length: d.length / 4 }, (_, k) =>
                        d.slice(4 * k, 4 * k + 3).join())).size,
                    grid: Array.from({ length: s.rows }, (_, row) =>
                        Array.from({ length: heat.cols }, (_, col) => at(row, col))) }; })()""" % i)
            filled = {(row, col): n for row, col, n in cells(heat_map)}
            # Nothing, and each count one of its own.
            counts = len(set(filled.values()))
            assert colors["all"] >= 1 + counts, "%d colours" % colors["all"]
            for (row, col) in filled:
                assert colors["grid"][row][col] != colors["empty"], (name, row, col)
            if name == "anon":
                # No gap over it: where nothing was written it has the colour of nothing.
                wrong = [(row, col) for row in range(colors["rows"])
                         for col in range(colors["cols"])
                         if ((row, col) in filled) == (colors["grid"][row][col] ==
                                                       colors["empty"])]
                assert len(wrong) <= colors["rows"], wrong[:9]


def case_hover(browser):
    report = known_json()
    with Shown(browser, "known") as page:
        check_hover(page, report, "[heap]", cells(map_named(report, "[heap]"))[::9])
        check_hover(page, report, "anon", cells(map_named(report, "anon"))[::5])
        # An empty cell under the gap says that it says nothing.
        box = strip_box(page, strip_index(page, "[heap]"))
        page.move(*cell_point(box, 64, page.ask("heat.cols"), 60, 10))
        same(tip(page)[2], "0 writes", "an empty cell")
        page.move(*cell_point(box, 64, page.ask("heat.cols"), 3,
                              page.ask("Math.floor(2.9e9 / report.heat.step)")))
        assert "a gap" in tip(page)[-1], tip(page)
        page.move(1, 1)
        same(tip(page), [""], "outside")


def case_hover_real(browser):
    report = known_json("real")
    looked = 0
    with Shown(browser, "real") as page:
        for heat_map in report["heat"]["maps"]:
            # Columns are as long as a collection, which tells of all of it at once.
            wide = page.ask("report.heat.step") // report["heat"]["column_ns"]
            if len(heat_map["rows"]) < 60:
                check_hover(page, report, heat_map["label"], cells(heat_map, wide)[:12])
                looked += 1
    assert looked, "no mapping of a size to look at"


def case_part(browser):
    report = known_json("part")
    with Shown(browser, "part") as page:
        check_hover(page, report, "anon", cells(map_named(report, "anon")))
        same(page.ask("heat.strips.length"), 1, "strips")
        same(page.ask('byId("losses").innerText').strip(),
             "Nothing was lost, and there are no gaps in what is shown.", "what is missing")
        facts = page.ask('byId("facts").textContent')
        assert facts.endswith("; shown is only mapping anon from 1.2 s on up to 1.6 s"), facts


def case_heat_zoom(browser):
    report = known_json()
    with Shown(browser, "known") as page:
        i, cols = strip_index(page, "anon"), page.ask("heat.cols")
        box = strip_box(page, i)
        axis = page.ask('byId("heat-axis").innerText')
        page.drag(box["x"] + box["w"] * .3, box["y"] + 20, box["x"] + box["w"] * .5,
                  box["y"] + 22)
        page.drawn()
        zoomed = page.ask("[heat.col0, heat.col1]")
        assert abs(zoomed[0] - .3 * cols) < 1 and abs(zoomed[1] - .5 * cols) < 1, zoomed
        assert axis != page.ask('byId("heat-axis").innerText'), "the axis stays"
        # The curves show the same time.
        shown = page.ask("(s => [s.min, s.max])(curves.plots[0].plot.scales.x)")
        step = report["heat"]["column_ns"] / 1e9
        assert abs(shown[0] - zoomed[0] * step) < step, (shown, zoomed)
        # A cell of the part that is shown tells the same as before.
        rows = len(map_named(report, "anon")["rows"])
        row, col, n = next(c for c in cells(map_named(report, "anon"))
                           if zoomed[0] + 1 < c[1] < zoomed[1] - 1)
        page.move(box["x"] + (col + .5 - zoomed[0]) / (zoomed[1] - zoomed[0]) * box["w"],
                  box["y"] + (rows - row - .5) / rows * box["h"])
        same(tip(page)[2].split()[0], str(n), "the count in the zoom")
        # Both directions at once: addresses, too.
        page.drag(box["x"] + 20, box["y"] + 10, box["x"] + 200, box["y"] + 60)
        page.drawn()
        assert page.ask("heat.strips[%d].row1 - heat.strips[%d].row0" % (i, i)) < rows
        page.click(box["x"] + 30, box["y"] + 30, 2)
        page.drawn()
        same(page.ask("[heat.col0, heat.col1]"), [0, cols], "after a double click")
        page.ask('byId("heat-in").click()')
        same(page.ask("heat.col1 - heat.col0"), cols / 2, "after +")
        page.ask('byId("heat-all").click()')
        # A part chosen in the curves is chosen here.
        page.ask('curves.plots[0].plot.setScale("x", { min: .5, max: 1 })')
        page.drawn()
        same([round(c * step, 1) for c in page.ask("[heat.col0, heat.col1]")], [.5, 1.0],
             "the time chosen in a curve")


def case_keyboard(browser):
    with Shown(browser, "known") as page:
        cols = page.ask("heat.cols")
        page.ask("heat.strips[0].canvas.focus()")
        for key in ("ArrowRight", "ArrowDown"):
            page.key(key)
        same(page.ask("heat.strips[0].cursor"), {"row": 1, "col": 1}, "the cursor")
        assert len(tip(page)) >= 4, tip(page)
        page.key("+")
        same(page.ask("heat.col1 - heat.col0"), cols / 2, "after +")
        page.key("Escape")
        same(page.ask("heat.col1 - heat.col0"), cols, "after Escape")


def case_flame(browser):
    with Shown(browser, "known") as page:
        def frames():
            page.drawn()
            return page.ask("""[...document.querySelectorAll(".frame")].map(f =>
                [f.textContent, parseFloat(f.style.width), f.className])""")

        def frame_point(name):
            return page.ask("""(() => { const f = [...document.querySelectorAll(".frame")].find(
                f => f.textContent.startsWith(%s)); f.scrollIntoView({ block: "center" });
                const b = f.getBoundingClientRect(); return [b.x + b.width / 2, b.y + 5]; })()"""
                            % json.dumps(name))

        widths = {name: width for name, width, _ in frames()}
        same(widths["all"], 100, "the root")
        total = 224 + 64
        liba, libb = (sum(1 for k in range(64) if (k % 10 < 7) == a) for a in (True, False))
        page.move(*frame_point("liba.so"))
        assert "%d writes" % liba in " ".join(tip(page)), tip(page)
        share = {n: w for n, w in widths.items() if n.startswith(("liba", "libb"))}
        same(sorted(round(w, 1) for w in share.values()),
             sorted(round(100 * n / total, 1) for n in (liba, libb)), "their shares")
        page.click(*frame_point("libb.so"))
        after = {name: width for name, width, _ in frames()}
        same([w for n, w in after.items() if n.startswith("libb")], [100], "after a click")
        assert not [n for n in after if n.startswith("liba")], after
        page.ask('byId("flame-all").click()')
        same({name: width for name, width, _ in frames()}, widths, "after All")
        page.ask("""(s => { s.value = "LIBA"; s.dispatchEvent(new Event("input")); })(
            byId("flame-search"))""")
        found = [name for name, _, kind in frames() if "found" in kind]
        assert found and all(name.startswith("liba") for name in found), found
        same(page.ask('byId("flame-found").textContent'), "%d %% below these" %
             round(100 * liba / total), "what the search says")


def case_events(browser):
    with Shown(browser, "known") as page:
        rows = """[...document.querySelectorAll("#events-table tbody tr")].map(r =>
            [...r.cells].map(c => c.textContent))"""
        kinds = [row[2] for row in page.ask(rows)]
        same(kinds, ["attach", "gap", "lost", "fork", "detach"], "the events")
        page.ask("""(s => { s.value = "gap"; s.dispatchEvent(new Event("change")); })(
            byId("events-kind"))""")
        same([row[3] for row in page.ask(rows)],
             ["budget, 870 ms: 16 pages at 0x560000000000 of [heap]"], "the gaps")


def case_phone(browser):
    for name in ("known", "real", "hostile"):
        for scheme in ("light", "dark"):
            with Shown(browser, name, width=390, height=844, scheme=scheme, mobile=True) as page:
                same(page.ask("document.documentElement.scrollWidth"), 390, name + "'s width")
                same(page.ask("innerWidth"), 390, "the window")
                wide = page.ask("""[...document.querySelectorAll("body *")].filter(e =>
                    !e.closest(".wide, #tip, .flame-row, .u-over") &&
                    e.getBoundingClientRect().right > 391).length""")
                same(wide, 0, "what sticks out")


def case_finger(browser):
    report = known_json()
    with Shown(browser, "known", width=390, height=844, mobile=True) as page:
        page.call("Emulation.setTouchEmulationEnabled", enabled=True)
        heat_map, i = map_named(report, "[heap]"), strip_index(page, "[heap]")
        row, col, _ = max(cells(heat_map), key=lambda cell: cell[2])
        page.tap(*cell_point(strip_box(page, i), len(heat_map["rows"]), page.ask("heat.cols"),
                             row, col))
        # The words are still there when the finger has gone; cells are half a point wide.
        same(tip(page)[::2][:1], ["[heap]"], "what a tap says")
        assert int(tip(page)[2].split()[0]) > 0, tip(page)
        title = page.ask("(b => [b.x + 5, b.y + 5])(byId('heat-title').getBoundingClientRect())")
        page.tap(*title)
        same(tip(page), [""], "after a tap elsewhere")


def case_light_and_dark(browser):
    paper = "getComputedStyle(document.body).backgroundColor"
    colors = {}
    for scheme in ("light", "dark"):
        with Shown(browser, "known", scheme=scheme) as page:
            colors[scheme] = (page.ask(paper), page.ask("heat.colors.slice(0, 3).join()"))
            first = colors[scheme]
            page.ask('byId("theme").click()')
            page.drawn()
            other = (page.ask(paper), page.ask("heat.colors.slice(0, 3).join()"))
            assert first[0] != other[0] and first[1] != other[1], "the switch does nothing"
            page.ask('byId("theme").click()')
            same(page.ask(paper), first[0], "back again")
    same(colors["light"][0], "rgb(255, 255, 255)", "light")
    assert colors["dark"][0] != colors["light"][0], colors
    # The system changes while the page is open.
    with Shown(browser, "known") as page:
        page.scheme("dark")
        page.drawn()
        same(page.ask(paper), colors["dark"][0], "after the system has changed")


def case_hostile(browser):
    with Shown(browser, "hostile") as page:
        same(page.ask("typeof window.hacked"), "undefined", "what ran")
        same(page.ask('document.querySelectorAll("img, iframe, object, embed, base, form")'
                      ".length"), 0, "elements that nobody made")
        same(page.ask('document.querySelectorAll("script").length'),
             page.ask('document.querySelectorAll("head script, body > script").length'), "scripts")
        same(page.ask('document.querySelectorAll("script").length'), 11, "scripts")
        text = page.ask("document.body.innerText")
        # It is there to be read, and what cannot be seen is spelled.
        for words in ("</script><img src=x onerror=", "\\x1b[2J", "\\u202egpj.exe", "\ufffd",
                      "window.hacked=1;alert(2)"):
            assert words in text, "%r is not to be read" % words
        for c in text:
            assert c in "\n\t" or not (ord(c) < 32 or 0x7f <= ord(c) < 0xa0 or
                                       0x202a <= ord(c) <= 0x202e), "%r is shown" % c
        same(page.ask("""[...document.querySelectorAll("td, b, h1, p, li, button")].filter(e =>
            e.textContent.length > 1000).length"""), 0, "names that are pages long")


def case_without_scripts(browser):
    page = Page(browser)
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(os.path.join(FOLDER, "known.html"), ready="document.readyState", value="complete")
    text = page.ask("document.body.innerText")
    for words in ("17 records lost", "first writes of a page", "[heap]", "anon"):
        assert words in text, "%r is not in %r" % (words, text)
    page.open(os.path.join(FOLDER, "hostile.html"), ready="document.readyState", value="complete")
    same(page.ask('document.querySelectorAll("img, iframe").length'), 0, "elements")
    same(page.ask("typeof window.hacked"), "undefined", "what ran")
    page.close()


def main():
    passed = failed = 0
    if not browser_program():
        print("SKIP no-chromium: not installed")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory() as home:
        browser = Browser(home)
        try:
            for name, case in [c for c in globals().items() if c[0].startswith("case_")]:
                if sys.argv[2:] and name[5:] not in sys.argv[2:]:
                    continue
                try:
                    case(browser)
                    passed += 1
                    print("ok    " + name[5:].replace("_", " "))
                except Exception as e:  # what went wrong is said, and the others run
                    failed += 1
                    print("FAIL  %s\n      %s: %s" % (name[5:], type(e).__name__, str(e)[:600]))
        finally:
            browser.close()
    print("%d passed, %d failed" % (passed, failed))
    return failed != 0


sys.exit(main())
