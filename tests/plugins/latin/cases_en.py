"""What an American reader says, rule by rule; `|` stands between sentences. `REGIONS` has what others say."""

from __future__ import annotations

CASES: dict[str, tuple[tuple[str, str], ...]] = {
    "cardinals": (
        ("I have 16 books.", "I have sixteen books."),
        ("It has 1,234 pages.", "It has one thousand two hundred thirty-four pages."),
        ("Over 2,000,000 votes.", "Over two million votes."),
        ("There are 101 of us.", "There are one hundred one of us."),
        ("Agent 007 is back.", "Agent zero zero seven is back."),
        ("We saw 1500 people.", "We saw one thousand five hundred people."),
    ),
    "years": (
        ("Born in 1984.", "Born in nineteen eighty-four."),
        ("Since 2000, and in 2005.", "Since two thousand, and in two thousand five."),
        ("By 2026 and in 1905.", "By twenty twenty-six and in nineteen oh five."),
        ("In 1900 and in 1066.", "In nineteen hundred and in ten sixty-six."),
        ("From 1939 to 1945.", "From nineteen thirty-nine to nineteen forty-five."),
        ("Music of the 1990s and the 80s.", "Music of the nineteen nineties and the eighties."),
    ),
    "decimals": (
        ("Pi is 3.14.", "Pi is three point one four."),
        ("It was 0.05.", "It was zero point zero five."),
        ("Only .5 was left.", "Only point five was left."),
        ("It is 1,234.5 meters.", "It is one thousand two hundred thirty-four point five meters."),
    ),
    "negatives": (
        ("It is -5 °C today.", "It is minus five degrees Celsius today."),
        ("From -3 to 4.", "From minus three to four."),
    ),
    "ordinals": (
        ("She came in 1st.", "She came in first."),
        ("The 2nd and the 3rd time.", "The second and the third time."),
        ("On the 21st floor.", "On the twenty-first floor."),
        ("The 100th and the 112th.", "The one hundredth and the one hundred twelfth."),
    ),
    "roman numerals": (
        ("The XIX century ended.", "The nineteenth century ended."),
        ("After World War II.", "After World War Two."),
        ("See Chapter IV.", "See Chapter four."),
        ("Elizabeth II, a CD and the Part I like.", "Elizabeth II, a CD and the Part I like."),
    ),
    "dates": (
        ("Due 11/12/2026.", "Due November twelfth, twenty twenty-six."),
        ("Opens 2026-11-20.", "Opens November twentieth, twenty twenty-six."),
        ("On Nov. 3, 1999, it rained.", "On November third, nineteen ninety-nine, it rained."),
        ("On 4 July 2024.", "On the fourth of July twenty twenty-four."),
        ("On July 4 we rest.", "On July fourth we rest."),
        ("Born on the 12th of May.", "Born on the twelfth of May."),
        ("No such day: 13/32/2020.", "No such day: 13/32/2020."),
    ),
    "times": (
        ("Meet at 2:30 p.m. sharp.", "Meet at two thirty PM sharp."),
        ("Class is at 14:30.", "Class is at fourteen thirty."),
        ("It opens at 9:00 and ends at 5pm.", "It opens at nine o'clock and ends at five PM."),
        ("Wake me at 7:05.", "Wake me at seven oh five."),
        ("Open 9am-5pm.", "Open nine AM to five PM."),
        ("We left at 6 p.m. Nobody saw us.", "We left at six PM. | Nobody saw us."),
    ),
    "money": (
        ("It costs $5.99.", "It costs five dollars and ninety-nine cents."),
        ("Just $1!", "Just one dollar!"),
        ("I owe $1,234.50.", "I owe one thousand two hundred thirty-four dollars and fifty cents."),
        ("A $5 bill.", "A five dollar bill."),
        ("Pay $0.99 or £3.", "Pay ninety-nine cents or three pounds."),
        ("They raised $1.5 million.", "They raised one point five million dollars."),
        ("Worth $2bn or $5k.", "Worth two billion dollars or five thousand dollars."),
        ("Send ₦500 or €20.", "Send five hundred naira or twenty euros."),
        ("It is US$ 5.", "It is five US dollars."),
        ("It costs $10-20.", "It costs ten to twenty dollars."),
        ("Balance: -$5.", "Balance: minus five dollars."),
        ("Pay $5.5, or $1.01.", "Pay five dollars and fifty cents, or one dollar and one cent."),
        ("From $10–£20.", "From ten dollars–twenty pounds."),
    ),
    "percent": (
        ("Up 3.5%.", "Up three point five percent."),
        ("From 10% to 100 %.", "From ten percent to one hundred percent."),
    ),
    "units": (
        ("I ran 10 km at 12 km/h.", "I ran ten kilometers at twelve kilometers per hour."),
        ("It weighs 1 kg on 2 m².", "It weighs one kilogram on two square meters."),
        ("Drive at 65 mph for 1 mi.", "Drive at sixty-five miles per hour for one mile."),
        ("A 512 GB disk.", "A five hundred twelve gigabyte disk."),
        ("Add 1.5 L or 500ml.", "Add one point five liters or five hundred milliliters."),
    ),
    "phones": (
        (
            "Call (555) 123-4567.",
            "Call five five five, one two three, four five six seven.",
        ),
        (
            "My number is +1 555 123 4567.",
            "My number is plus one, five five five, one two three, four five six seven.",
        ),
        ("Or 555-123-4567.", "Or five five five, one two three, four five six seven."),
    ),
    "fractions": (
        ("Use 1/2 cup.", "Use one half cup."),
        ("About 3/4 of it.", "About three quarters of it."),
        ("Wait 2 1/2 hours.", "Wait two and a half hours."),
        ("It is 1½ miles.", "It is one and a half miles."),
        ("It is 3/16 of an inch.", "It is three sixteenths of an inch."),
    ),
    "ranges": (
        ("Read 10-20 pages.", "Read ten to twenty pages."),
        ("The war of 1914–1918.", "The war of nineteen fourteen to nineteen eighteen."),
        ("About 10-20 km.", "About ten to twenty kilometers."),
    ),
    "abbreviations": (
        ("Mr. Hill saw Dr. Lee.", "Mister Hill saw Doctor Lee."),
        ("St. Mary is on Main St. in town.", "Saint Mary is on Main Street in town."),
        ("Bread, milk, etc. Then he left.", "Bread, milk, et cetera. | Then he left."),
        ("Fruit, e.g. grapes, i.e. sweets.", "Fruit, for example grapes, that is sweets."),
        ("See No. 5 on p. 12, Fig. 3.", "See number five on page twelve, figure three."),
        ("He works at Hill Ltd. in York.", "He works at Hill Limited in York."),
        ("Bread & butter vs. jam.", "Bread and butter versus jam."),
    ),
    "streets and names": (
        ("He lives on Elm St. He left.", "He lives on Elm Street. | He left."),
        ("St. John's St. in St. Louis.", "Saint John's Street in Saint Louis."),
        ("At 5 p.m. EST or 5 p.m. Monday.", "At five PM EST or five PM Monday."),
        ("Springfield, IL 62704.", "Springfield, IL six two seven zero four."),
        ("He is a Dr. of law on Ocean Dr. now.", "He is a Doctor of law on Ocean Drive now."),
        ("He is 5 ft. tall.", "He is five feet tall."),
        ("Call 911 or 555-0199.", "Call nine one one or five five five, zero one nine nine."),
        ("A 5-year-old on an 8 km hike.", "A five-year-old on an eight kilometer hike."),
        (
            "In 1990-91, in 1500 cases.",
            "In nineteen ninety to ninety-one, in one thousand five hundred cases.",
        ),
        ("The 1800s, and 9/11.", "The eighteen hundreds, and nine eleven."),
        ("Tip $.50, or 1/2 kg.", "Tip fifty cents, or one half of a kilogram."),
        ("Pay $10–$20 or 10%-20%.", "Pay ten to twenty dollars or ten to twenty percent."),
        ("A $1 million house.", "A one million dollar house."),
    ),
    "left alone": (
        ("See https://example.com/a?b=1.5 or a@b.com.", "See https://example.com/a?b=1.5 or a@b.com."),
        ("The GPT-4, the MP3 and COVID-19.", "The GPT-4, the MP3 and COVID-19."),
        ("Install 2.0.1 now.", "Install 2.0.1 now."),
        ("He is 6'2, and 1,2,3 or 10:1.", "He is 6'2, and 1,2,3 or 10:1."),
        ("From +12-15 points.", "From +12-15 points."),
        ("No. He said no.", "No. | He said no."),
        ("NASA and the U.S. agree.", "NASA and the U.S. agree."),
        ("Open 24/7.", "Open twenty-four seven."),
    ),
}

REGIONS: tuple[tuple[str, str, str], ...] = (
    ("en-GB", "There are 101 of us.", "There are one hundred and one of us."),
    ("en-GB", "Due 11/12/2026.", "Due the eleventh of December twenty twenty-six."),
    (
        "en-NG",
        "By 01/02/2005, pay ₦1,250.50.",
        "By the first of February two thousand and five, pay "
        "one thousand two hundred and fifty naira and fifty kobo.",
    ),
    ("en-US", "Due 20/11/2026.", "Due November twentieth, twenty twenty-six."),
)
