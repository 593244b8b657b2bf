"""The short forms of French, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import Nouns, Tables, currencies, larges, regular, signs, table, units, words

TABLES = Tables(
    currencies=currencies(
        "€ EUR euro euros = euro(|s), centime(|s); $ US$ USD = dollar(|s), cent(|s); "
        "CA$ CAD = dollar(|s) canadien(|s), cent(|s); £ GBP = f livre(|s), pen(ny|ce); "
        "CHF = franc(|s) suisse(|s), centime(|s); FCFA XOF XAF = franc(|s) CFA, centime(|s); "
        "¥ JPY = yen(|s), sen(|s); CNY = yuan(|s), fen(|s); ₿ BTC = bitcoin(|s)"
    ),
    larges=larges(
        "mille k = n mille; million millions M = million(|s); milliard milliards Md Mds = milliard(|s)"
    ),
    units=units(
        "% = pour cent; km = kilomètre(|s); m = mètre(|s); cm = centimètre(|s); mm = millimètre(|s); "
        "km/h = kilomètre(|s) heure; m/s = mètre(|s) par seconde; m² m2 = mètre(|s) carré(|s); "
        "km² km2 = kilomètre(|s) carré(|s); m³ m3 = mètre(|s) cube(|s); ha = hectare(|s); t = f tonne(|s); "
        "kg Kg = kilo(|s); g gr = gramme(|s); mg = milligramme(|s); L l = litre(|s); "
        "L/100_km l/100_km = litre(|s) aux cent kilomètres; dl dL = décilitre(|s); cl cL = centilitre(|s); "
        "ml mL = millilitre(|s); °C ºC = degré(|s) Celsius; °F = degré(|s) Fahrenheit; ° = degré(|s); "
        "octets = octet(|s); ko Ko = kilo-octet(|s); Mo = mégaoctet(|s); Go = gigaoctet(|s); "
        "To = téraoctet(|s); Mbit/s Mb/s = mégabit(|s) par seconde; Hz = hertz; kHz = kilohertz; "
        "MHz = mégahertz; GHz = gigahertz; W = watt(|s); kW = kilowatt(|s); kWh = kilowattheure(|s); "
        "mAh = milliampère(-heure|s-heures); V = volt(|s); dB = décibel(|s); h = f heure(|s); "
        "min mn = f minute(|s); s sec = f seconde(|s); ms = f milliseconde(|s); "
        "c.à.s càs CàS c._à_s. c._à_soupe = f cuillère(|s) à soupe; "
        "c.à.c càc CàC c._à_c. c._à_café = f cuillère(|s) à café"
    ),
    words=table(
        "24h/24 24/7 = vingt-quatre heures sur vingt-quatre; 7j/7 = sept jours sur sept; & = et; "
        "± = plus ou moins; .NET = point NET; C# = C sharp; CO2 CO₂ = C O deux; H2O = H deux O; "
        "2nd = second; 2nde = seconde; IPv4 = I P V quatre; IPv6 = I P V six; s.v.p. = s'il vous plaît; "
        "c.-à-d. càd = c'est-à-dire; rdv = rendez-vous; svp = s'il vous plaît; stp = s'il te plaît; "
        "qqn = quelqu'un; qqch = quelque chose"
    ),
    titles=table(
        "Prof prof = professeur; Gal = général; Cdt = commandant; av Av ave Ave = avenue; "
        "bd Bd bld boul Boul = boulevard; pl Pl = place; rte Rte = route; imm Imm = immeuble; "
        "bât Bât = bâtiment; p.ex P.ex = par exemple; cf Cf = confer; vs = contre; env Env = environ; "
        "apr = après; éd = édition; chap Chap = chapitre; réf Réf = référence"
    ),
    closings=table(
        "etc = et cetera; av.J.-C = avant Jésus-Christ; apr.J.-C ap.J.-C = après Jésus-Christ; "
        "J.-C = Jésus-Christ; Cie = compagnie; tél Tél = téléphone; hab = habitants; max = maximum; "
        "appt apt = appartement"
    ),
    labels=table(
        "n° N° nº Nº n.° no. No. # = numéro; p. P. = page; pp. = pages; art. Art. = article; "
        "chap. Chap. = chapitre; vol. Vol. = volume; t. T. = tome; ch. Ch. = chapitre; fig. Fig. = figure; "
        "§ = paragraphe; apt. appt. Apt. Appt. = appartement; bât. Bât. = bâtiment"
    ),
    signs=signs(
        "environ|environ|par|fois|égale|supérieur à|inférieur à|divisé par|sur|fois|par|au carré|au cube|"
        "arobase|point|slash|tiret|tiret bas|deux-points|point d'interrogation|et|dièse|pour cent|plus"
    ),
)

# Before the name of a person or a place, with or without a full stop.
BEFORE_NAMES = table(
    "Mme = madame; Mmes = mesdames; Mlle Melle = mademoiselle; Mlles = mesdemoiselles; MM. = messieurs; "
    "Dr = docteur; Drs = docteurs; Dre = docteure; Pr = professeur; Me = maître; Mgr = monseigneur; "
    "St = Saint; Ste = Sainte; bd = boulevard; av = avenue"
)

NOUNS = Nouns(
    feminine_endings=tuple(
        regular(
            "tion sion xion té ée ie ure ance ence ette esse elle enne euse trice ière ade ude aine aille "
            "ise ille ngue onne otte"
        )
    ),
    feminine=regular(
        "heure minute seconde semaine nuit fois page place chose tasse boîte goutte tranche carte lettre "
        "note photo étape équipe école rue route île mort fin idée image tête mère sœur femme part porte "
        "chambre table main classe couche balle salle ville règle ligne phrase preuve œuvre branche pomme "
        "poire tomate carotte gousse feuille offre affaire guerre terre pierre plante réponse question "
        "demande erreur fleur couleur valeur cour tour voix noix croix dent jambe plage piste course "
        "marche caisse chaise liste vidéo moto clé tente fenêtre lampe robe chemise poche roue poule vache"
    ),
    masculine=regular(
        "musée lycée trophée côté été comité traité pâté député génie incendie parapluie squelette "
        "magazine domaine murmure silence stade grade camarade modèle capitaine bastion scarabée foie "
        "cimetière derrière gorille portefeuille prélude"
    ),
    feminine_articles=words("la une cette"),
    masculine_articles=words("le ce"),
    others=words(
        "a à au aux avec car ce ces chez comme contre dans de des du elle en entre est et il ils elles je "
        "la le les leur mais ne ni nous on ont ou où par pas plus pour puis qu que qui sa sans se ses si "
        "son sous sur tu un une vers vous y était sera sont fut moins ou"
    ),
    labels=words(
        "page chapitre numéro article groupe niveau ligne type phase étape salle version partie leçon pas "
        "porte chaîne zone volume tome figure tableau point chambre question quai voie"
    ),
)
