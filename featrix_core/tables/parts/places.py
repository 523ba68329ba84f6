"""Words of postal addresses: street types, states, countries (ENC-5)."""

from __future__ import annotations

from featrix_core.tables.parts.spec import listed

_SUFFIX_FORMS = {
    "street": "street st str",
    "avenue": "avenue ave av aven",
    "road": "road rd",
    "boulevard": "boulevard blvd boul",
    "drive": "drive dr drv",
    "lane": "lane ln",
    "court": "court ct crt",
    "place": "place pl",
    "way": "way wy",
    "circle": "circle cir",
    "square": "square sq",
    "terrace": "terrace ter terr",
    "parkway": "parkway pkwy pky",
    "highway": "highway hwy route rte freeway expressway expy fwy",
    "trail": "trail trl",
    "plaza": "plaza plz",
    "crescent": "crescent cres",
    "close": "close",
    "alley": "alley aly mews row",
    "walk": "walk path pike turnpike tpke",
    "broadway": "broadway",
    "loop": "loop run pass",
    "point": "point pt cove cv landing lndg",
    "hill": "hill hills hl ridge rdg grove gardens gdns green park view heights hts",
}
_PREFIX_FORMS = {
    "rue": "rue chemin impasse allée allee quai cours",
    "calle": "calle c/ avenida avda avd carrera paseo cra camino",
    "via": "via viale piazza corso vicolo largo piazzale",
    "rua": "rua travessa praça praca alameda estrada",
    "avenue": "avenue boulevard av",
    "place": "place plaza plaça",
    "highway": "highway route us-",
    "ulica": "ul ulica ulitsa улица ул al aleja",
}
STREET_TYPE_OF = {form: kind for kind, forms in _PREFIX_FORMS.items() for form in forms.split()} | {
    form: kind for kind, forms in _SUFFIX_FORMS.items() for form in forms.split()
}
"""Words that name a kind of street (lower case, no dot) and the kind's name."""
STREET_SUFFIXES = frozenset(form for forms in _SUFFIX_FORMS.values() for form in forms.split())
"""Words that stand after a street's name (12 Main *Street*)."""
STREET_PREFIXES = frozenset(form for forms in _PREFIX_FORMS.values() for form in forms.split())
"""Words that stand before it (12 *rue* Monge)."""
STRASSE_ENDINGS = {
    "strasse": listed("straße strasse str straat gatan gade gata katu veien vej vägen tie"),
    "weg": listed("weg laan allee"),
    "platz": listed("platz plein markt ring gasse damm ufer"),
}
"""Endings of street names written as one word (*Haupt*straße)."""
STREET_TYPES = tuple(dict.fromkeys([*_SUFFIX_FORMS, *_PREFIX_FORMS, *STRASSE_ENDINGS]))

_STATES = """
AL alabama,AK alaska,AZ arizona,AR arkansas,CA california,CO colorado,CT connecticut,DE delaware,
DC district of columbia,FL florida,GA georgia,HI hawaii,ID idaho,IL illinois,IN indiana,IA iowa,
KS kansas,KY kentucky,LA louisiana,ME maine,MD maryland,MA massachusetts,MI michigan,MN minnesota,
MS mississippi,MO missouri,MT montana,NE nebraska,NV nevada,NH new hampshire,NJ new jersey,
NM new mexico,NY new york,NC north carolina,ND north dakota,OH ohio,OK oklahoma,OR oregon,
PA pennsylvania,RI rhode island,SC south carolina,SD south dakota,TN tennessee,TX texas,UT utah,
VT vermont,VA virginia,WA washington,WV west virginia,WI wisconsin,WY wyoming,PR puerto rico,
GU guam,VI virgin islands
"""
_PROVINCES = """
AB alberta,BC british columbia,MB manitoba,NB new brunswick,NL newfoundland and labrador,
NS nova scotia,NT northwest territories,NU nunavut,ON ontario,PE prince edward island,QC quebec,
SK saskatchewan,YT yukon,QC québec
"""


def _codes(text: str) -> dict[str, str]:
    pairs = [entry.strip().partition(" ") for entry in text.replace("\n", " ").split(",")]
    return {name.strip(): code for code, _, name in pairs}


US_STATES = _codes(_STATES)
"""Full name (lower case) → two letters."""
PROVINCES = _codes(_PROVINCES)
"""The same of Canada."""
REGIONS = tuple(sorted(set(US_STATES.values()))) + tuple(sorted(set(PROVINCES.values())))
REGION_OF = US_STATES | PROVINCES | {code.lower(): code for code in REGIONS}

_COUNTRY_NAMES = {
    "us": "usa,us,united states,united states of america,u s a,u s,america",
    "ca": "canada",
    "gb": "uk,gb,united kingdom,great britain,england,scotland,wales,northern ireland,u k",
    "de": "germany,deutschland",
    "fr": "france",
    "es": "spain,españa,espana",
    "it": "italy,italia",
    "nl": "netherlands,the netherlands,nederland,holland",
    "be": "belgium,belgique,belgië",
    "ch": "switzerland,schweiz,suisse,svizzera",
    "at": "austria,österreich,osterreich",
    "ie": "ireland,éire",
    "pt": "portugal",
    "pl": "poland,polska",
    "cz": "czech republic,czechia,česko,česká republika",
    "se": "sweden,sverige",
    "no": "norway,norge",
    "dk": "denmark,danmark",
    "fi": "finland,suomi",
    "gr": "greece,ελλάδα",
    "hu": "hungary,magyarország",
    "ro": "romania,românia",
    "ru": "russia,russian federation,россия",
    "ua": "ukraine,україна",
    "tr": "turkey,türkiye,turkiye",
    "il": "israel",
    "ae": "united arab emirates,uae",
    "sa": "saudi arabia",
    "in": "india,bharat",
    "pk": "pakistan",
    "cn": "china,p r china,people's republic of china,中国",
    "hk": "hong kong",
    "tw": "taiwan",
    "jp": "japan,日本",
    "kr": "south korea,korea,republic of korea,대한민국",
    "sg": "singapore",
    "my": "malaysia",
    "th": "thailand",
    "ph": "philippines",
    "id": "indonesia",
    "vn": "vietnam",
    "au": "australia",
    "nz": "new zealand,aotearoa",
    "za": "south africa",
    "ng": "nigeria",
    "eg": "egypt",
    "ke": "kenya",
    "mx": "mexico,méxico",
    "br": "brazil,brasil",
    "ar": "argentina",
    "cl": "chile",
    "co": "colombia",
    "pe": "peru,perú",
}
COUNTRIES = tuple(_COUNTRY_NAMES)
COUNTRY_OF = {name: code for code, names in _COUNTRY_NAMES.items() for name in names.split(",")}
"""Name (lower case, dots as blanks) → two-letter code."""
