"""Hostile CSV and JSON: bytes, single values, encodings (part of `corpus`)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

ROWS = 30

# --- CSV, byte by byte ------------------------------------------------------------------------

RAW: dict[str, bytes] = {
    "empty": b"",
    "one newline": b"\n",
    "only blanks": b" \t \n\n",
    "only a BOM": b"\xef\xbb\xbf",
    "only half a BOM": b"\xef\xbb",
    "only NUL": b"\0" * 5000,
    "only header": b"a,b,c",
    "only header with line end": b"a,b,c\r\n",
    "only quotes": b'"' * 999,
    "only delimiters": b"," * 999,
    "only delimiters in lines": b",,,\n" * 50,
    "only carriage returns": b"\r" * 50,
    "only backslashes": b"\\" * 50 + b"\n",
    "one cell": b"x",
    "one quoted cell": b'"x"',
    "header and one row": b"a,b\n1,2",
    "one column": b"a\n" + b"1\n2\n" * 20,
    "one column, blank lines": b"a\n1\n\n2\n\n\n3\n",
    "one column of quotes": b'a\n"x"\n""\n"y"\n',
    "no final line end": b"a,b\n1,2\n3,4",
    "CR line ends": b"a,b\r1,2\r3,4\r",
    "mixed line ends": b"a,b\r\n1,2\n3,4\r5,6\n\r7,8",
    "vertical tab and form feed": b"a,b\n1,\x0b2\n3,\x0c4\n",
    "unit separators": b"a\x1fb\x1e1\x1f2\x1e",
    "Unicode line separators": "a,b\n1\u20282,3\n4\u0085,5\n".encode(),
    "semicolons in a comma file": b"a,b\n1;2,3\n4;5,6\n",
    "ragged, long rows": b"a,b\n1,2\n1,2,3\n4,5\n1,2,3,4\n6,7\n",
    "ragged, short rows": b"a,b,c\n1,2,3\n1\n4,5,6\n1,2\n7,8,9\n",
    "ragged, all": b"a,b\n1\n1,2,3\n1,2,3,4\n",
    "ragged, every row longer": b"".join(b"1," * n + b"1\n" for n in range(60)),
    "trailing delimiters": b"a,b,\n1,2,\n3,4,\n",
    "trailing delimiters in rows only": b"a,b\n1,2,\n3,4,\n",
    "quote never closed, first row": b'a,b\n"1,2\n3,4\n5,6\n',
    "quote never closed, last row": b'a,b\n1,2\n3,4\n5,"6\n',
    "quote never closed, header": b'a,"b\n1,2\n3,4\n',
    "quotes never closed, all rows": b"a,b\n" + b'1,"x\n' * 31,
    "quotes that overlap": b'a,b\n"1"2"3",4\n5,6\n',
    "quote after space": b'a, b\n1, "x, y"\n2, "z"\n',
    "quote before delimiter": b'a,b\nx",1\ny",2\n',
    "stray quotes": b'a,b\n5" pipe,1\n3" x 4" board,2\nno,3\n',
    "doubled quotes": b'a,b\n"""x""",1\n"""""",2\n"y",3\n',
    "quote in the middle of a doubled quote": b'a,b\n"x"""y,1\n"z",2\nw,3\n',
    "quoted header with line ends": b'"a\nb","c\r\nd"\n1,2\n3,4\n',
    "single quotes": b"'a','b'\n'x, y','1'\n'z','2'\n",
    "backslash quotes": b'a,b\n"x \\" y",1\n"z \\" w",2\n',
    "backslash at the end": b'a,b\n"x \\" y z",1\nz,\\\n',
    "backslash before every line end": b'a,b\n"x \\"y",1\\\n2,3\\\n4,5\\\n',
    "a BOM in the middle": b"a,b\n1,\xef\xbb\xbf2\n3,4\n",
    "two BOMs": b"\xef\xbb\xbf\xef\xbb\xbfa,b\n1,2\n3,4\n",
    "BOM before a quote": b'\xef\xbb\xbf"a","b"\n1,2\n3,4\n',
    "NUL in a cell": b"a,b\n1,\x002\n3,4\n5,6\n",
    "NUL in the header": b"a\x00,b\n1,2\n",
    "NUL between rows": b"a,b\n1,2\n\x00\n3,4\n5,6\n",
    "NUL at the end": b"a,b\n1,2\n3,4\n\x00\x00\x00",
    "UTF-16 cut in two": "a,b\n1,2\nä,€\n".encode("utf-16")[:-1],
    "UTF-16 mark, other text": b"\xff\xfea,b\n1,2\n",
    "UTF-32": "a,b\n1,2\nä,€\n".encode("utf-32"),
    "UTF-8 cut in two": "a,b\nü,1\nö,2\nä".encode()[:-1],
    "overlong UTF-8": b"a,b\n\xc0\x80,1\n\xe0\x80\xaf,2\nx,3\ny,4\nz,5\n",
    "surrogates in UTF-8": b"a,b\n\xed\xa0\x80,1\nx,2\ny,3\n",
    "beyond Unicode": b"a,b\n\xf4\x90\x80\x80,1\nx,2\ny,3\n",
    "UTF-7": b"a,b\n+AOQ-,1\n+APY-,2\n",
    "EBCDIC": "a,b\n1,2\n3,4\n".encode("cp500"),
    "random bytes": bytes(np.random.default_rng(1).integers(0, 256, 20_000, np.uint8)),
    "random bytes in lines": b"a,b\n" + bytes(np.random.default_rng(2).integers(0, 256, 9000, np.uint8)),
    "duplicate names": b"a,b,a\n1,2,3\n4,5,6\n",
    "duplicate names but for blanks": b"a, a ,b\n1,2,3\n4,5,6\n",
    "duplicate empty names": b"a,,\n1,2,3\n4,5,6\n",
    "name of a made-up name": b",column_1\nx,1\ny,2\n",
    "names of blanks": b" ,\t,a\n1,2,3\n",
    "numbers as names": b"1.5,2.5\n3.5,4.5\n5.5,6.5\n",
    "years as names": b"city,2019,2020\nBonn,1,2\nKiel,3,4\n",
    "names of internal columns": b"__featrix_train,__featrix_weight,a\nyes,1,2\nno,-1,3\nyes,nan,4\n",
    "names like code": b'"__class__","{0}","%s","$(x)",a\n1,2,3,4,5\n6,7,8,9,10\n',
    "a very long name": b"a" * 200_000 + b",b\n1,2\n3,4\n",
    "comments first": b"# made by hand\n# in 2020\na,b\n1,2\n3,4\n",
    "a title first": b"Report of May\n\na,b,c\n1,2,3\n4,5,6\n7,8,9\n",
    "sep line": b"sep=;\na;b\n1;2\n3;4\n",
    "HTML": b"<!doctype html><html><body>Not found</body></html>\n",
    "HTML of many lines": b"<html>\n<body>\n<p>a, b</p>\n</body>\n</html>\n",
    "a shell script": b"#!/bin/sh\nrm -rf \"$HOME\"\nexit 0\n",
    "a Parquet file by another name": b"PAR1" + b"\0" * 100 + b"PAR1",
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00",
    "fixed width": b"name      age\nAnna       31\nBert       45\n",
    "Markdown": b"| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n",
    "all delimiters at once": b"a,b;c\td|e\n1,2;3\t4|5\n6,7;8\t9|0\n",
    "delimiters only in quotes": b'"a,b"\n"1,2"\n"3,4"\n',
    "rows of the header": b"a,b\n" * 40,
    "all the same": b"a,b\n" + b"1,1\n" * 40,
    "all missing": b"a,b\n" + b",\n" * 40,
    "all question marks": b"a,b\n" + b"?,?\n" * 40,
}  # fmt: skip

# --- single values, forty rows of each ----------------------------------------------------------

VALUES: dict[str, list[str]] = {
    "1e999": ["1e999", "-1e999", "1e308", "1e-999"],
    "integers beyond 64 bits": [str(2**63), str(2**64), str(-(2**63) - 1), "1" * 400],
    "digits without end": ["9" * 5000, "0." + "3" * 5000, "1" + "0" * 5000],
    "special floats": ["inf", "-inf", "Infinity", "nan", "NaN", "1.#INF", "0x1p-3", "1_000"],
    "signs": ["+1", "--1", "+-1", "1-", "-", "+", "−1", "-0", "-0.0"],
    "separators": ["1,234.5", "1.234,5", "1 234,5", "1'234.5", "1,2,3", "1.2.3", ",5", "5,"],
    "currency": ["$5", "5 €", "EUR 5", "¥5", "£", "$ -5", "($5)", "5$€"],
    "percent": ["5%", "%5", "5 %", "%", "500%%", "1e3%"],
    "units": ["5 kg", "5kg", "1,5 km", "5 m²", "12 ft 3 in", "5µg", "kg"],
    "hex": ["0x1F", "1F", "0b101", "0o17", "#fff"],
    "leading zeros": ["007", "00", "000.5", "0123456789"],
    "digits of other scripts": ["١٢٣", "१२३", "１２３", "Ⅻ", "½", "①"],
    "dates of zero": ["0000-00-00", "0000-01-01", "0000-00-00 00:00:00", "0001-01-01"],
    "dates that are not": ["2023-02-29", "2023-13-01", "2023-00-10", "31/31/2023", "1/1/1/1"],
    "dates far away": ["9999-12-31", "10000-01-01", "99999-12-31", "-0001-01-01", "1677-09-21"],
    "dates in many forms": ["2023-01-02", "02.01.2023", "1/2/23", "Jan 2, 2023", "20230102"],
    "times": ["24:00", "25:61", "12:30:99", "-12:30", "12:30 PM", "0:00:00.000000000"],
    "leap second": ["2016-12-31T23:59:60Z", "2016-12-31 23:59:60", "1972-06-30T23:59:60Z"],
    "odd zones": ["2020-01-01T00:00:00+99:99", "2020-01-01T00:00:00-25:00", "2020-01-01T00:00Z"],
    "epochs": ["0", "-1", "1700000000", "1700000000000", "1700000000000000000"],
    "booleans": ["true", "FALSE", "yes", "No", "1", "0", "t", "ja", "on"],
    "missing in all forms": ["", " ", "NA", "null", "None", "?", "-", "#N/A", "\\N", "NaT"],
    "right to left": ["שלום", "مرحبا بالعالم", "\u202eabc\u202c", "א1ב2"],
    "emoji": ["😀", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "❤️‍🔥"],
    "combining": ["é", "e\u0301", "a" + "\u0300" * 500, "\u0301"],
    "invisible": ["\u200b", "a\u200bb", "\ufeffx", "\u00ad", "\u2060", "\u00a0x\u00a0"],
    "controls": ["\x01", "\x1b[31mred\x1b[0m", "a\tb", "\x7f", "bell\x07", "\x08\x08"],
    "not characters": ["\uffff", "\ufffe", "\U0010ffff", "\ue000"],
    "formulas": ["=1+1", '=HYPERLINK("http://x","y")', "+A1", "-2+3", "@SUM(A1:A9)", "=cmd|' /C calc'!A0"],
    "markup": ["<script>alert(1)</script>", "<b>", "&amp;", "]]>", "<!--", "<?xml?>", "'\"><img src=x>"],
    "SQL": ["'; DROP TABLE t; --", '" OR 1=1', "%", "_", "\\", "$$"],
    "templates": ["{{7*7}}", "${jndi:ldap://x}", "{0.__class__}", "%n%s%x", "#{1}", "`id`"],
    "regular expressions": ["(a+)+$", "[", "(", "\\", ".*", "(?<", "a{999999}", "^(([a-z])+.)+$"],
    "paths": ["../../etc/passwd", "C:\\", "/dev/null", "\\\\x\\y", "file:///etc/passwd", "~"],
    "e-mails that are not": ["@", "a@", "@b", "a@b", "a@@b.c", "a b@c.de", "x@" + "y" * 300 + ".com"],
    "URLs that are not": ["http://", "http://[::1", "://", "http://x:99999/", "javascript:x", "http://" + "a." * 500],
    "phones that are not": ["+", "+0", "+1 555", "110", "+49" + "1" * 50, "(((", "tel:"],
    "addresses that are not": ["1", "Street", ", ,", "12345", "0 0 0 0 0", "PO Box"],
    "lists that are not": ["a,b,", ",,,", "a;b,c|d", "[a", "a,,b", ";"],
    "vectors that are not": ["[1,2", "[1,2,x]", "[]", "[[1],[2]]", "[1e999]", "[NaN, 1]", "[null]"],
    "vectors of other lengths": ["[1,2,3]", "[1,2]", "[1]", "[1,2,3,4]"],
    "JSON that is not": ["{", "{}", '{"a":}', "{'a':1}", '{"a":1,}', "[{]}", "null", '"x"'],
    "JSON of other shapes": ['{"a": 1}', '{"b": [1]}', '{"a": {"b": {}}}', '{"a": "x"}', "[]"],
    "JSON 1,000 deep": ["[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000],
    "JSON 100,000 deep": ["[" * 100_000, '{"a":' * 20_000],
    "JSON of strange keys": ['{"": 1}', '{"\\u0000": 1}', '{"\\ud800": 1}', '{"a": 1, "a": 2}'],
    "identifiers": ["550e8400-e29b-41d4-a716-446655440000", "d41d8cd98f00b204e9800998ecf8427e"],
    "levels": ["low", "medium", "HIGH", "very high", "unknown", "med"],
    "months": ["Jan", "january", "JAN.", "Januar", "13", "Sept", "mai"],
    "Roman numerals": ["I", "IV", "IIII", "MCMXCIV", "IC", "X" * 500],
    "sizes": ["S", "M", "XXXXXXL", "3XL", "xs", "One Size"],
    "longest words": ["a" * 100_000, "b" * 100_000, "c d " * 25_000],
    "many words": ["lorem ipsum " * 2000, "dolor sit amet " * 2000, "x"],
}  # fmt: skip


def csv_of(values: list[str]) -> bytes:
    """A column of the values, one that is distinct, one that is plain."""
    cells = [values[row % len(values)] for row in range(ROWS)]
    lines = [
        f'"{cell.replace(chr(34), chr(34) * 2)}",k{row},{row % 3}' for row, cell in enumerate(cells)
    ]
    return ("value,key,n\n" + "\n".join(lines) + "\n").encode("utf-8")


# --- encodings ----------------------------------------------------------------------------------

LANGUAGES = {
    "de": ("Größe,Straße\nÄrger,Übung\nöl,süß\n", ("cp1252", "latin_1", "utf-16", "utf-8-sig", "mac_roman")),
    "pl": ("imię,miasto\nŁukasz,Łódź\nŚwięta,Gdańsk\n", ("cp1250", "iso8859_2")),
    "ru": ("имя,город\nИван,Москва\nАнна,Тверь\n", ("cp1251", "koi8_r", "utf-16-le", "cp866")),
    "ja": ("名前,都市\n太郎,東京\n花子,大阪\n", ("shift_jis", "euc_jp", "iso2022_jp", "utf-16-be")),
    "zh": ("姓名,城市\n李雷,北京\n韩梅,上海\n", ("gb18030", "big5hkscs", "hz")),
    "ar": ("اسم,مدينة\nعلي,دبي\n", ("cp1256", "utf-8")),
}  # fmt: skip


def encoded() -> Iterator[tuple[str, bytes]]:
    for language, (text, encodings) in LANGUAGES.items():
        head, _, body = text.partition("\n")
        for encoding in encodings:
            whole = head + "\n" + body * 12
            yield f"{language} in {encoding}", whole.encode(encoding, "replace")
    latin, utf8 = "Käse,1\n".encode("latin1"), "Käse,1\n".encode()
    for share in (1, 10, 19):
        yield f"{share} of 20 rows in Latin-1", b"a,b\n" + latin * share + utf8 * (20 - share)
    yield "Latin-1 behind a megabyte of ASCII", b"a,b\n" + b"x,1\n" * 260_000 + latin * 3


# --- JSON ---------------------------------------------------------------------------------------

JSON: dict[str, bytes] = {
    "empty array": b"[]",
    "empty object": b"{}",
    "a number": b"42",
    "a string": b'"text"',
    "null": b"null",
    "array of numbers": b"[1, 2, 3]",
    "array of arrays": b"[[1, 2], [3, 4]]",
    "array of nulls": b"[null, null, null]",
    "mixed elements": b'[{"a": 1}, {"a": 2}, 3, null, {"a": 3}, "x", {"a": 4}, {"a": 5}]',
    "empty objects": b"[{}, {}, {}]",
    "some empty objects": b'[{}, {"a": 1}, {"a": 2}, {}]',
    "trailing comma": b'[{"a": 1}, {"a": 2},]',
    "no commas": b'[{"a": 1} {"a": 2}]',
    "single quotes": b"[{'a': 1}, {'a': 2}]",
    "comments": b'[{"a": 1}, /* no */ {"a": 2}, {"a": 3}] // end',
    "cut in a string": b'[{"a": "x"}, {"a": "y"}, {"a": "z',
    "cut behind a comma": b'[{"a": 1}, {"a": 2}, ',
    "too many ends": b'[{"a": 1}]]]]]',
    "too few ends": b"[[[[[[" + b'{"a": 1}',
    "NaN and Infinity": b'[{"a": NaN}, {"a": Infinity}, {"a": -Infinity}, {"a": 1}]',
    "huge numbers": b'[{"a": 1e999}, {"a": 1e-999}, {"a": ' + b"9" * 5000 + b'}, {"a": 1}]',
    "keys that differ in every row": json.dumps([{f"k{n}": n} for n in range(300)]).encode(),
    "12,000 keys": json.dumps([{f"k{n}": n for n in range(12_000)}]).encode(),
    "key twice": b'[{"a": 1, "a": 2}, {"a": 3, "a": 4}]',
    "key of blanks": b'[{" ": 1}, {"a": 2}]',
    "half a surrogate": b'[{"a": "\\ud800"}, {"\\udfff": "x"}]',
    "NUL in a string": b'[{"a": "\\u0000"}, {"a": "b\\u0000c"}]',
    "raw control in a string": b'[{"a": "x\ny"}, {"a": "z"}, {"a": "w"}]',
    "nested 1,000 deep": b'[{"a": ' + b"[" * 1000 + b"]" * 1000 + b'}, {"a": 1}, {"a": 2}]',
    "nested 100,000 deep": b'[{"a": ' + b'{"b": ' * 100_000 + b"1" + b"}" * 100_000 + b"}]",
    "arrays 100,000 deep": b"[" * 100_000,
    "two arrays": b'{"a": [{"x": 1}], "b": [{"y": 1}]}',
    "columns": b'{"a": [1, 2, 3], "b": [4, 5, 6]}',
    "an array inside of an array": b'{"a": {"b": [{"x": 1}]}}',
    "text behind": b'[{"a": 1}] trailing',
    "BOM": b'\xef\xbb\xbf[{"a": 1}, {"a": 2}]',
    "UTF-16": '[{"a": "ü"}, {"a": "ß"}]'.encode("utf-16"),
    "Latin-1": '[{"a": "ü"}, {"a": "ß"}]'.encode("latin1"),
    "brackets in strings": b'[{"a": "]}]}"}, {"a": "[{\\"]\\\\"}, {"a": "x"}]',
    "NUL bytes": b'[{"a": 1}, \x00 {"a": 2}, {"a": 3}]',
}

JSON_LINES: dict[str, bytes] = {
    "blank lines": b'\n\n{"a": 1}\n\n{"a": 2}\n\n',
    "CR line ends": b'{"a": 1}\r\n{"a": 2}\r\n',
    "no line ends": b'{"a": 1}{"a": 2}{"a": 3}',
    "objects over lines": b'{\n"a": 1\n}\n{\n"a": 2\n}\n',
    "broken lines": b'{"a": 1}\n{"a": \n{"a": 2}\nnonsense\n{"a": 3}\n{"a": 4}\n',
    "mostly broken": b'{"a": 1}\n' + b"{\n" * 30,
    "an array": b'[{"a": 1}, {"a": 2}]',
    "arrays": b"[1, 2]\n[3, 4]\n",
    "one line without end": b'{"a": "' + b"x" * 100_000,
    "nested values": b"".join(b'{"a": {"b": [%d, {"c": null}]}, "n": %d}\n' % (n, n) for n in range(40)),
    "lists of numbers": b"".join(b'{"v": [%d, 2.5, 3], "n": %d}\n' % (n, n % 3) for n in range(40)),
    "types that change": b'{"a": 1}\n{"a": "x"}\n{"a": [1]}\n{"a": {"b": 1}}\n{"a": null}\n{"a": true}\n',
}  # fmt: skip
