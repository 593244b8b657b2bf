"""The short forms of English, and the words for them: money, units, abbreviations.

In `NaCl`, `Ph.D` and `M.D`, the `letter_mark` of English stands between letters that are said one by one.
"""

from __future__ import annotations

from plugins.latin.language import Tables, currencies, larges, signs, table, units

TABLES = Tables(
    currencies=currencies(
        "$ = dollar(|s), cent(|s); US$ USD = US dollar(|s), cent(|s); € EUR = euro(|s), cent(|s); "
        "£ GBP = pound(|s), pen(ny|ce); ₦ NGN = naira, kobo; ¥ JPY = yen, sen; "
        "R$ BRL = rea(l|is), centavo(|s); A$ AU$ AUD = Australian dollar(|s), cent(|s); "
        "C$ CA$ CAD = Canadian dollar(|s), cent(|s); HK$ HKD = Hong Kong dollar(|s), cent(|s); "
        "NZ$ NZD = New Zealand dollar(|s), cent(|s); S$ SGD = Singapore dollar(|s), cent(|s); "
        "NT$ TWD = Taiwan dollar(|s), cent(|s); CHF = Swiss franc(|s), centime(|s); CNY = yuan, fen; "
        "MXN = Mexican peso(|s), centavo(|s); ₹ INR = rupee(|s), pais(a|e); ¢ = cent(|s); ₿ BTC = bitcoin; "
        "฿ THB = baht, satang"
    ),
    larges=larges(
        "thousand k K = thousand; million mn m M = million; billion bn b B = billion; trillion tn = trillion"
    ),
    units=units(
        "% = percent; km = kilometer(|s); m = meter(|s); cm = centimeter(|s); mm = millimeter(|s); "
        "mi = mile(|s); ft = f(oot|eet); sq_ft sq._ft. = square f(oot|eet); in. = inch(|es); "
        "mpg = mile(|s) per gallon; yd = yard(|s); km/h kph = kilometer(|s) per hour; "
        "mph = mile(|s) per hour; m/s = meter(|s) per second; m² = square meter(|s); "
        "km² = square kilometer(|s); m³ = cubic meter(|s); ha = hectare(|s); kg = kilogram(|s); "
        "g = gram(|s); mg = milligram(|s); lb lbs = pound(|s); oz = ounce(|s); L l = liter(|s); "
        "dl dL = deciliter(|s); cl cL = centiliter(|s); tbsp Tbsp tbs = tablespoon(|s); "
        "tsp Tsp = teaspoon(|s); ml mL = milliliter(|s); °C = degree(|s) Celsius; "
        "°F = degree(|s) Fahrenheit; ° = degree(|s); kB KB = kilobyte(|s); MB = megabyte(|s); "
        "GB = gigabyte(|s); TB = terabyte(|s); kbps = kilobit(|s) per second; "
        "Mbps = megabit(|s) per second; Gbps = gigabit(|s) per second; Hz = hertz; kHz = kilohertz; "
        "MHz = megahertz; GHz = gigahertz; W = watt(|s); kW = kilowatt(|s); kWh = kilowatt hour(|s); "
        "mAh = milliampere hour(|s); V = volt(|s); dB = decibel(|s); h hr hrs = hour(|s); "
        "min = minute(|s); s sec = second(|s); ms = millisecond(|s)"
    ),
    words=table(
        "24/7 = twenty-four seven; 9/11 = nine eleven; 50/50 = fifty-fifty; & = and; ± = plus or minus; "
        ".NET = dot NET; C# = C sharp; F# = F sharp; NaCl = N.A.C.L; IPv4 = I P v four; IPv6 = I P v six; "
        "w/ = with; w/o = without"
    ),
    titles=table(
        "Mr = Mister; Mrs = Missus; Ms = Ms; Dr = Doctor; Prof = Professor; St = Saint; Mt = Mount; "
        "Ft = Fort; Gen = General; Capt = Captain; Sgt = Sergeant; Lt = Lieutenant; Col = Colonel; "
        "Gov = Governor; Sen = Senator; Sr = Senior; Rep = Representative; Rev = Reverend; "
        "Hon = Honorable; e.g E.g = for example; i.e I.e = that is; vs = versus; "
        "approx Approx = approximately; incl Incl = including; excl Excl = excluding"
    ),
    closings=table(
        "etc = et cetera; Ph.D = P.H.D; M.D = M.D; Inc = Incorporated; Ltd = Limited; Co = Company; "
        "Corp = Corporation; Jr = Junior; Ave = Avenue; Rd = Road; Blvd = Boulevard; Dept = Department; "
        "Bros = Brothers"
    ),
    labels=table(
        "No. no. No.# no.# Nº № # = number; Nos. = numbers; p. = page; pp. = pages; Fig. fig. = figure; "
        "Vol. vol. = volume; Sec. § = section; Ch. ch. = chapter; Apt. = apartment; Rm. = room; "
        "Ext. ext. = extension; Tel. tel. = telephone"
    ),
    signs=signs(
        "about|approximately|by|times|equals|greater than|less than|divided by|out of|times|per|squared|"
        "cubed|at|dot|slash|dash|underscore|colon|question mark|and|hash|percent|plus"
    ),
)
