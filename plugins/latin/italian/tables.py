"""The short forms of Italian, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import Nouns, Tables, currencies, in_order, larges, signs, table, units, words

TABLES = Tables(
    currencies=currencies(
        "€ EUR euro = euro, centesim(o|i); $ US$ USD = dollar(o|i), centesim(o|i); "
        "£ GBP = f sterlin(a|e), pen(ny|ce); CHF = franc(o|hi) svizzer(o|i), centesim(o|i); "
        "¥ JPY = yen, sen; CNY = yuan, fen; CAD = dollar(o|i) canades(e|i), centesim(o|i); ₿ BTC = bitcoin"
    ),
    larges=larges(
        "mila k = n mil(le|a); milione milioni mln M = milion(e|i); miliardo miliardi mld = miliard(o|i)"
    ),
    units=units(
        "% = n per cento; km = chilometr(o|i); m mt = metr(o|i); cm = centimetr(o|i); mm = millimetr(o|i); "
        "km/h = chilometr(o|i) all'ora; m/s = metr(o|i) al secondo; m² mq = metr(o|i) quadrat(o|i); "
        "km² kmq = chilometr(o|i) quadrat(o|i); m³ mc = metr(o|i) cub(o|i); ha = ettar(o|i); "
        "t = f tonnellat(a|e); q = quintal(e|i); mln = milion(e|i); mld = miliard(o|i); kg Kg = chil(o|i); "
        "l/100_km = litr(o|i) per cento chilometri; hg = ett(o|i); g gr = gramm(o|i); "
        "mg = milligramm(o|i); L l lt = litr(o|i); dl = decilitr(o|i); cl = centilitr(o|i); "
        "ml mL = millilitr(o|i); °C ºC ° = grad(o|i); °F = grad(o|i) Fahrenheit; kB KB = kilobyte; "
        "MB = megabyte; GB = gigabyte; TB = terabyte; Mbit/s Mb/s = megabit al secondo; Hz = hertz; "
        "kHz = chilohertz; MHz = megahertz; GHz = gigahertz; W = watt; kW = chilowatt; kWh = chilowattora; "
        "mAh = milliampere ora; V = volt; CV cv = cavall(o|i); dB = decibel; h = f or(a|e); "
        "min = minut(o|i); s sec = second(o|i); ms = millisecond(o|i)"
    ),
    words=table(
        "24/7 h24 = ventiquattro ore su ventiquattro; & = e; ± = più o meno; .NET = punto NET; "
        "C# = C sharp; CO2 CO₂ = C O due; H2O = acca due O; IPv4 = I P V quattro; IPv6 = I P V sei; "
        "sig.ra = signora; sig.na = signorina; sigg.ri = signori; dott.ssa dr.ssa = dottoressa; "
        "prof.ssa = professoressa; gent.mo = gentilissimo; gent.ma = gentilissima; spett.le = spettabile; "
        "p.zza p.za = piazza; p.le = piazzale; v.le = viale; c.so = corso; l.go = largo; f.lli = fratelli; "
        "s.n.c. = S N C; tvb = ti voglio bene; cmq = comunque"
    ),
    titles=table(
        "sig Sig = signor; sigg Sigg = signori; dott Dott dr Dr = dottor; prof Prof = professor; "
        "avv Avv = avvocato; ing Ing = ingegner; arch Arch = architetto; geom Geom = geometra; "
        "rag Rag = ragionier; On = onorevole; sen Sen = senatore; mons Mons = monsignor; "
        "egr Egr = egregio; ad_es Ad_es = ad esempio; p.es P.es per_es Per_es = per esempio; "
        "es Es = esempio; cfr Cfr = confronta; ca circ = circa; vs = contro; tot = totale"
    ),
    closings=table(
        "ecc etc = eccetera; sec = secolo; a.C = avanti Cristo; d.C = dopo Cristo; q.b = quanto basta; "
        "tel Tel = telefono; S.p.A = S P A; S.r.l = S R L; max = massimo"
    ),
    labels=table(
        "n. N. # n° N° nº Nº nr. Nr. num. = numero; pag. Pag. p. = pagina; pagg. pp. = pagine; "
        "art. Art. = articolo; artt. = articoli; cap. Cap. = capitolo; vol. Vol. = volume; "
        "fig. Fig. = figura; int. Int. = interno; sec. Sec. = secolo; h h. = ore"
    ),
    signs=signs(
        "circa|circa|per|per|uguale|maggiore di|minore di|diviso|su|volte|al|al quadrato|al cubo|"
        "chiocciola|punto|barra|trattino|trattino basso|due punti|punto interrogativo|e|cancelletto|"
        "per cento|più"
    ),
)

NOUNS = Nouns(
    feminine_endings=in_order("a zione sione gione tà tù trice zioni sioni gioni trici"),
    feminine=words(
        "ore settimane tazze pagine volte giornate persone miglia notte notti parte parti chiave chiavi "
        "carne gente mente morte classe classi fine mano mani foto moto radio auto tesi crisi analisi "
        "ipotesi base legge leggi luce luci voce voci rete reti nave navi torre torri croce croci "
        "cucchiaiate fette mele uova dita braccia paia immagine immagini origine neve sere mattine case "
        "strade bottiglie scatole gocce"
    ),
    masculine=words(
        "giorni mesi chili problema programma sistema tema clima panorama dramma diploma poema schema "
        "stemma telegramma diagramma grammi pianeta poeta atleta papa cinema sofà delta pigiama "
        "cinquantina fantasma dilemma enigma trauma carisma prisma idioma aroma coma asma plasma euro"
    ),
    feminine_articles=words("la una alla dalla della nella sulla"),
    masculine_articles=words("il lo al dal del nel sul"),
    others=words(
        "a ad al alla alle agli ai anche ancora che chi con contro così da dal dalla dai e ed era ero fa "
        "fino fra fu già gli ha hai hanno ho i il in invece la le lo ma meno mentre nel nella non o od "
        "oppure per perché poi più quando se sei senza si sia sono sopra sotto su sul tra un una uno va è "
        "di del della dei delle degli ogni solo come entro dopo prima durante oggi ieri domani "
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"
    ),
    labels=words(
        "pagina capitolo numero articolo gruppo livello linea tipo fase tappa sala versione parte lezione "
        "porta canale zona volume tomo figura tabella punto camera domanda binario uscita interno "
        "partita gara stanza tavolo"
    ),
)
