"""Providers of free mail, and names of mailboxes that stand for a function (ENC-5)."""

from __future__ import annotations

from featrix_core.tables.parts.spec import listed

FREE_MAIL_BRANDS = frozenset(listed("yahoo hotmail outlook live gmx msn ymail rocketmail"))
"""Registered names that give free mail under `com` and under every country's suffix."""

FREE_MAIL_DOMAINS = frozenset(
    listed("""
    gmail.com googlemail.com aol.com aim.com aol.co.uk aol.fr aol.de icloud.com me.com mac.com
    gmx.net gmx.com web.de freenet.de t-online.de arcor.de mail.com email.com usa.com post.com
    inbox.com hushmail.com hush.com proton.me protonmail.com protonmail.ch pm.me tutanota.com
    tutanota.de tuta.io tutamail.com fastmail.com fastmail.fm zoho.com zohomail.com zohomail.eu
    yandex.com yandex.ru ya.ru mail.ru bk.ru list.ru inbox.ru internet.ru rambler.ru ukr.net i.ua
    meta.ua tut.by abv.bg mail.bg qq.com foxmail.com 163.com 126.com yeah.net sina.com sina.cn
    sohu.com 139.com 189.cn aliyun.com tom.com naver.com daum.net hanmail.net nate.com
    rediffmail.com rediff.com indiatimes.com libero.it virgilio.it tiscali.it alice.it tin.it
    inwind.it iol.it email.it orange.fr wanadoo.fr free.fr laposte.net sfr.fr neuf.fr bbox.fr
    voila.fr numericable.fr wp.pl o2.pl onet.pl op.pl interia.pl interia.eu gazeta.pl vp.pl tlen.pl
    seznam.cz centrum.cz email.cz post.cz volny.cz atlas.cz azet.sk centrum.sk
    zoznam.sk freemail.hu citromail.hu uol.com.br bol.com.br terra.com.br ig.com.br globo.com
    globomail.com r7.com oi.com.br btinternet.com ntlworld.com blueyonder.co.uk virginmedia.com
    talktalk.net sky.com tiscali.co.uk lineone.net bluewin.ch hispeed.ch sunrise.ch telenet.be
    skynet.be ziggo.nl hetnet.nl planet.nl kpnmail.nl xs4all.nl home.nl chello.nl upcmail.nl
    telia.com spray.se online.no sapo.pt telefonica.net terra.es comcast.net verizon.net att.net
    sbcglobal.net bellsouth.net cox.net charter.net earthlink.net juno.com netzero.net optonline.net
    roadrunner.com windstream.net frontier.com centurylink.net rogers.com shaw.ca sympatico.ca
    telus.net videotron.ca bigpond.com bigpond.net.au optusnet.com.au iinet.net.au xtra.co.nz
    lycos.com excite.com care2.com mailinator.com guerrillamail.com yopmail.com 10minutemail.com
    trashmail.com tempmail.com sharklasers.com duck.com hey.com gmx.us docomo.ne.jp ezweb.ne.jp
    softbank.ne.jp excite.co.jp nifty.com walla.com walla.co.il 012.net.il mynet.com
    """)
)
"""Other registered domains whose mailboxes mostly belong to private people."""

_ROLE_NAMES = {
    "info": "info information infos enquiries enquiry inquiries inquiry ask",
    "contact": "contact contacts contactus kontakt contacto contato hello hi hola bonjour mail email",
    "admin": "admin administrator administration root sysadmin hostmaster it itsupport",
    "sales": "sales sale vertrieb ventas vendas ventes orders order bestellung shop store",
    "support": "support help helpdesk helpme techsupport customersupport",
    "service": "service services customerservice kundenservice customercare care sav feedback",
    "noreply": "noreply donotreply dontreply mailerdaemon bounce bounces notification notifications "
    "notify alert alerts automailer",
    "office": "office reception frontdesk secretary sekretariat buero secretariat",
    "billing": "billing accounts accounting account invoice invoices payments payment finance "
    "rechnung buchhaltung payroll ap ar",
    "careers": "hr jobs job careers career recruiting recruitment bewerbung humanresources talent",
    "marketing": "marketing promo promotions newsletter news subscribe subscriptions updates",
    "press": "press media pr presse editor editorial redaktion",
    "web": "webmaster web postmaster www abuse spam",
    "security": "security privacy legal compliance gdpr dataprotection datenschutz dpo",
    "team": "team staff all everyone group members membership events event community",
    "booking": "booking bookings reservations reservation reservas",
}
ROLES = ("personal", *_ROLE_NAMES)
"""Functions of a mailbox; `personal` is every name that stands for no function."""
ROLE_OF = {name: role for role, names in _ROLE_NAMES.items() for name in names.split()}
