"""Scales whose words have an order: the lexicon behind ordinal columns (DATA-2).

Every scale lists its places from low to high; the synonyms of one place stand together, divided by
`/`, places by `,`. Texts are compared in lower case with `_`, `-` and `.` as blanks. Scales with
`names` need a column name that holds one of these words: their values mean other things elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A named order: `places` maps a normalised word to its place, 0 for the lowest."""

    name: str
    places: dict[str, int]
    names: frozenset[str] = frozenset()


_LEXICON = {
    "level": """lowest/minimal/very very low, extremely low, very low/vlow/verylow/v low, low/lo/l,
        low medium/medium low/low med/lower medium/below average, medium/med/mid/middle/moderate/
        average/normal/m/mod, medium high/high medium/upper medium/above average, high/hi/h,
        very high/vhigh/veryhigh/v high, extremely high/extreme/ultra high, highest/maximal""",
    "rating": """terrible/awful/very poor/very bad/worst/abysmal, poor/bad, below average/mediocre,
        fair/average/ok/okay/acceptable/satisfactory/adequate/neutral/regular/typical,
        above average, good, very good/great/verygood, excellent/premium/superior,
        outstanding/ideal/perfect/exceptional""",
    "house quality": "po/poor, fa/fair, ta/typical/average, gd/good, ex/excellent",
    "cut": "fair, good, very good, premium, ideal",
    "health": "poor, fair, good, very good, excellent",
    "comparison": "worst, bad/worse, same/unchanged/no change, good, better, best",
    "change": """much worse/strongly decreased, worse/decreased/decrease/down/declined/falling, same/
        unchanged/no change/stable/steady/flat, better/increased/increase/up/improved/rising,
        much better/strongly increased""",
    "average": """far below average, below average/below expectations/below, average/meets
        expectations/at expectations/normal, above average/exceeds expectations/above, far above average/
        far exceeds expectations""",
    "size": """xxxs/3xs, xxs/2xs, xs/extra small/x small/tiny/very small/mini, s/small/sm/little,
        m/medium/med/mid/md/midsize/mid size, l/large/lg/big, xl/extra large/x large/very large/xlarge/huge,
        xxl/2xl/xx large/gigantic/enormous, xxxl/3xl, 4xl/xxxxl, 5xl, 6xl""",
    "company size": "micro, small/startup, medium/mid market/smb/mid, large, enterprise/very large",
    "agreement": """completely disagree/strongly disagree/totally disagree, disagree/mostly disagree,
        somewhat disagree/slightly disagree/tend to disagree, neutral/neither/undecided/neither agree nor
        disagree/neither agree or disagree/unsure/not sure, somewhat agree/slightly agree/tend to
        agree, agree/mostly agree, strongly agree/completely agree/totally agree""",
    "satisfaction": """extremely dissatisfied/very dissatisfied/very unsatisfied/highly dissatisfied,
        dissatisfied/unsatisfied, somewhat dissatisfied/slightly dissatisfied, neutral/neither satisfied nor
        dissatisfied/neither, somewhat satisfied/slightly satisfied, satisfied, very satisfied/
        extremely satisfied/highly satisfied""",
    "sentiment": """very negative/extremely negative, negative/neg, neutral/mixed, positive/pos,
        very positive/extremely positive""",
    "mood": "very unhappy, unhappy/sad, neutral/ok, happy, very happy",
    "likelihood": """impossible/never/definitely not, very unlikely/extremely unlikely, unlikely/
        probably not/improbable, possible/neutral/maybe/neither likely nor unlikely/even chance,
        likely/probable/probably, very likely/extremely likely, certain/definitely""",
    "importance": """not at all important/not important/unimportant/not important at all,
        slightly important/low importance/of little importance, moderately important/somewhat important/
        neutral, important/quite important, very important, extremely important/essential""",
    "extent": """not at all/none/no, slightly/a little/a little bit/very little, somewhat/to some
        extent/some/a moderate amount, moderately/fairly, quite/quite a bit/very/a lot/to a great extent,
        extremely/completely/a great deal/very much""",
    "frequency": """never, almost never/hardly ever/very rarely/less than once a year,
        rarely/seldom/non travel/travel rarely, occasionally/once in a while, sometimes/monthly or so,
        often/frequently/regularly/travel frequently, usually/most of the time/very often/mostly,
        almost always/nearly always, always/constantly/all the time""",
    "travel": "non travel/no travel, travel rarely/rarely, travel frequently/frequently",
    "period": """hourly, daily/every day, several times a week, weekly/every week, biweekly/fortnightly/bi
        weekly, monthly/every month, bimonthly, quarterly, semiannually/semi annually/half yearly,
        yearly/annually/annual/every year, never""",
    "quantity": "none/no/zero/0, few/a few/little/one, some/several, many/much/most/a lot, all",
    "intensity": "none/absent, very weak/very mild/trace, weak/mild/light/slight, moderate/medium, "
    "strong/heavy/marked, very strong/very heavy/intense/extreme",
    "weight": "very light, light, medium/moderate, heavy, very heavy",
    "severity": """none/no/no damage/no injury/normal/healthy, minimal/trivial/negligible/info/
        informational/possible/possible injury, minor/slight/light/mild/low/minor injury, moderate/medium,
        major/substantial/significant/high/serious/serious injury/considerable/severe/sev/severe injury,
        critical/very severe/life threatening/destroyed/catastrophic/blocker/fatal/fatal injury/death""",
    "injury": """no injury/none/uninjured/property damage only, possible injury/complaint of injury,
        nonincapacitating evident injury/non incapacitating evident injury/evident injury/minor injury/
        suspected minor injury/non incapacitating injury,
        incapacitating injury/serious injury/suspected serious injury,
        died prior to accident/fatal injury/fatal/killed""",
    "steepness": "flat, gentle, moderate, steep",
    "finish": "unfinished, partly finished/rough finished/semi finished, finished",
    "priority": """trivial/lowest/none/planning, low/minor, medium/normal/standard/mid/moderate/not specified,
        high/major/important, urgent/critical/very high/highest/blocker/immediate/emergency""",
    "numbered priority": "5 low, 4 not specified, 3 medium, 2 high, 1 urgent",
    "risk": "no risk/none, very low risk/very low, low risk/low, moderate risk/medium risk/medium/"
    "moderate, high risk/high, very high risk/very high/extreme risk/critical",
    "log level": "trace, debug, info/information/notice, warning/warn, error/err, critical/fatal/severe/"
    "alert/panic/emergency",
    "difficulty": """trivial/very easy/beginner, easy, medium/moderate/intermediate/normal, hard/difficult/
        challenging/advanced, very hard/very difficult/expert/extreme/insane""",
    "skill": """none, novice/basic/beginner/elementary/entry, intermediate/competent, proficient/skilled,
        advanced/fluent/professional, expert/master/native""",
    "seniority": """intern/internship/trainee/apprentice/student, entry/entry level/junior/jr/graduate,
        associate, mid/mid level/intermediate/regular/middle/mid senior level, senior/sr/senior level,
        lead/staff, principal/manager, director, vp/vice president/executive/head, c level/chief/cxo""",
    "education": """no schooling/no education/none/no formal education/illiterate/less than 1st grade,
        preschool/kindergarten/children,
        primary/primary school/elementary/elementary school/1st 4th/1st 2nd 3rd or 4th grade/basic 4y,
        middle school/5th 6th/5th or 6th grade/basic 6y, 7th 8th/7th and 8th grade/junior high/basic 9y,
        9th/9th grade/below secondary/below college/less than high school/some high school/
        no high school/not graduated,
        10th/10th grade, 11th/11th grade, 12th/12th grade no diploma, hs grad/high school/high school graduate/
        secondary/high school diploma/ged/highschool/secondary school/secondary education/secondary or
        high school/high school or equivalent/upper secondary,
        some college/some college but no degree/some university/college/some college no degree,
        vocational/assoc voc/associates degree occup vocational/professional course/trade school/diploma,
        associate/assoc acdm/associates/associate degree/associates degree academic program/
        2 year college/2 year degree/associates degree/associate's degree, tertiary/university/
        university degree/higher education/graduation/graduated/4 year college/4 year degree/undergraduate/
        bachelor/bachelors/bachelor degree/bachelors degree/bachelor's/bachelor's degree/ba/bsc/ba bs/
        bachelors degree ba ab bs/college graduate/graduate/college degree/bs/academic degree/
        incomplete higher, post graduate/postgraduate/graduate school/
        graduate degree/master/masters/master degree/masters degree/master's/master's degree/msc/ma/ms/mba/
        masters degree ma ms meng med msw mba, prof school/professional degree/professional/
        prof school degree md dds dvm llb jd, doctor/doctorate/phd/ph d/doctoral/doctoral degree/
        doctorate degree/doctorate degree phd edd/dr""",
    "school year": "kindergarten, freshman/first year, sophomore/second year, junior/third year, "
    "senior/fourth year, graduate",
    "age group": """newborn/neonate, infant/baby, toddler, child/children/kid, teen/teenager/adolescent/
        youth/juvenile, young adult/young/youth adult, adult, middle aged/middle age/middle adult,
        senior/elderly/old/older adult/aged""",
    "age": "very young, young, middle aged/middle age/medium, old, very old",
    "functionality": "sal, sev/severe, maj2/major2, maj1/major1, mod/moderate, min2/minor2, min1/minor1, "
    "typ/typical",
    "slope": "gtl/gentle, mod/moderate, sev/severe/steep",
    "finish of a garage": "unf/unfinished, rfn/rough finished, fin/finished",
    "living quarters": "unf/unfinished, lwq, rec, blq, alq, glq",
    "exposure": "no/none, mn/minimum/minimal, av/average, gd/good",
    "regularity": "ir3/irregular, ir2/moderately irregular, ir1/slightly irregular, reg/regular",
    "utilities": "elo, nosewa, nosewr, allpub",
    "paving": "n, p, y",
    "contract": "month to month/monthly, one year/1 year/annual, two year/two years/2 years/2 year, three year/"
    "three years/3 years/3 year",
    "film rating": "g/tv g/u, pg/tv pg, pg 13/tv 14/12a, r/tv ma/15, nc 17/x/18",
    "maturity": "planning, pre alpha, alpha, beta, production stable/production/stable, mature, inactive",
    "medal": "none, basic/standard, bronze, silver, gold, platinum, diamond/titanium",
    "plan": "free/trial, basic/starter/lite, standard/plus/regular, premium/pro/professional/business, "
    "enterprise/ultimate/unlimited",
    "cabin": "economy/coach/third, premium economy, business, first/first class",
    "class": "third class/3rd class, second class/2nd class, first class/1st class",
    "shipping": "standard class/standard, second class, first class/express, same day/overnight/next day",
    "speed": "stopped, very slow, slow/walk, medium/moderate/normal, fast/fast walk, very fast",
    "temperature": """freezing/frozen/very cold, cold, cool/chilly, mild/moderate/normal/lukewarm/
        temperate, warm, hot, very hot/boiling""",
    "wetness": "very dry, dry, damp/moist, wet, very wet",
    "length": "very short, short, medium/average/normal/moderate, long/tall, very long/very tall",
    "width": "very narrow/very thin/thin, narrow, medium/normal, wide/broad/thick, very wide/very thick",
    "depth": "very shallow, shallow, medium/moderate/intermediate, deep, very deep",
    "price": "free, cheap/budget/inexpensive/$, moderate/medium/mid range/midrange/$$, expensive/high end/"
    "premium/$$$, very expensive/luxury/$$$$",
    "weakness": "very weak, weak, moderate/medium/fair, strong, very strong",
    "class of society": "lower class/lower, working class/working/lower middle class, middle class/middle, "
    "upper middle class, upper class/upper",
    "income": "low/low income, lower middle/lower middle income, middle/middle income/medium, upper middle/"
    "upper middle income, high/high income/upper",
    "certainty": "very uncertain, uncertain/doubtful/not confident, somewhat confident/neutral, certain/"
    "confident/sure, very confident/very certain",
    "completion": "not started/todo/to do/open/planned/backlog, started/in progress/ongoing/partial/"
    "active, in review/review, done/complete/completed/finished/closed",
    "truth": "no, maybe/partly/partially/sometimes/possibly/don't know, yes",
    "affirmation": "definitely no/definitely not, no/probably no, maybe, yes/probably yes, definitely yes",
    "condition": """for parts/salvage/broken/very poor, poor/damaged, fair/acceptable/used/worn, good/
        average, very good/refurbished/like new/mint, excellent/new""",
    "decade of life": "twenties, thirties, forties, fifties, sixties, seventies, eighties",
    "part of day": "early morning/dawn, morning/am, noon/midday, afternoon/pm, evening/dusk, night/late "
    "night, midnight",
    "month": """jan/january/januar/janvier/enero, feb/february/februar/février/febrero, mar/march/märz/
        mars/marzo, apr/april/avril/abril, may/mai/mayo, jun/june/juni/juin/junio, jul/july/juli/juillet/
        julio, aug/august/août/agosto, sep/sept/september/septembre/septiembre, oct/october/oktober/
        octobre/octubre/okt, nov/november/novembre/noviembre, dec/december/dezember/décembre/
        diciembre/dez""",
    "weekday": """mon/monday/montag/lundi/lunes, tue/tues/tuesday/dienstag/mardi/martes, wed/weds/
        wednesday/mittwoch/mercredi/miércoles, thu/thur/thurs/thursday/donnerstag/jeudi/jueves,
        fri/friday/freitag/vendredi/viernes, sat/saturday/samstag/samedi/sábado,
        sun/sunday/sonntag/dimanche/domingo""",
    "season": "winter, spring, summer, autumn/fall",
    "ordinal": """zeroth, first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth,
        eleventh, twelfth""",
    "number": """zero/none, one/single/once, two/double/twice, three/triple, four/quadruple, five, six, seven,
        eight, nine, ten, eleven, twelve""",
    "roman": "i, ii, iii, iv, v, vi, vii, viii, ix, x, xi, xii, xiii, xiv, xv",
    "clarity": "i3, i2, i1, si3, si2, si1, vs2, vs1, vvs2, vvs1, if, fl",
    "stufe": "sehr niedrig, niedrig/gering/klein, mittel/mäßig, hoch/groß, sehr hoch/sehr groß",
    "note": "ungenügend, mangelhaft, ausreichend, befriedigend, gut, sehr gut",
}
_NAMED: dict[str, tuple[str, str]] = {
    "bond": ("d, c, cc, ccc, b, bb, bbb, a, aa, aaa", "rating bond credit"),
    "gem colour": (
        "z, y, x, w, v, u, t, s, r, q, p, o, n, m, l, k, j, i, h, g, f, e, d",
        "color colour",
    ),
    "letter": (
        "h, g, f, e, d, c, b, a",
        "grade rating score tier band rank quality",
    ),
    "priority number": ("p5/5, p4/4, p3/3, p2/2, p1/1, p0/0", "priority severity"),
    "stage of life": ("pup/larva/egg, juvenile/young, subadult, adult, old", "age stage life"),
}
_BLANKS = re.compile(r"[\s_\-.]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")


def normalised(text: str) -> str:
    """A value as the lexicon writes it."""
    spaced = _CAMEL.sub(" ", text).replace("’", "'").replace(",", " ").replace("(", " ")
    return _BLANKS.sub(" ", spaced.replace(")", " ").casefold()).strip(" :;!*\"'")


def _scale(name: str, text: str, names: str = "") -> Scale:
    places: dict[str, int] = {}
    for place, words in enumerate(" ".join(text.split()).split(",")):
        for word in words.split("/"):
            if word.strip():
                places.setdefault(normalised(word.strip()), place)
    return Scale(name, places, frozenset(names.split()))


SCALES: tuple[Scale, ...] = (
    *(_scale(name, text) for name, text in _LEXICON.items()),
    *(_scale(name, text, names) for name, (text, names) in _NAMED.items()),
)
