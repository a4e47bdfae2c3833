"""How do people ask in two steps: first what it is about, then the question?

It does not know which calls answer it; a leading `~` keeps a template or an alternative out of training.
"""

# fmt: off
from __future__ import annotations

_HAVE = "(I have|there is|here is|we have|I've got|I wrote|I am reading|take|consider|look at|~behold) [a |the |my |this ](file|text|document|draft|<noun>)[ called| named|:] <f>(.|;|,| -|:)"
_THESE = "(I have|here are|there are|we have|take|consider|look at|given|~behold) (|the files|these files|these|the texts|my files)(:| -|) <L>(.|;|:)"
_OPTIONS = "(I have|here are|there are|we have|take|consider|look at|given|~behold) (|the files|these files|these|the texts)(:| -|) <L>(.|;|:)"

_COUNTS: dict[str, list[str]] = {
    "": [f"{_HAVE} how many WORDS (does it have|are in it|has it|does it contain|are there|is it|is that)?", f"{_HAVE} (count|please count|can you count) (its|the) WORDS(|.|?)", "<f>(:|,| -|;) how many WORDS[ does it have| are in it| are in there| is that]?", f"{_HAVE} I need (its WORD count|the number of WORDS in it|~the WORDS of it).", "<f>. (WORDS|how many WORDS|WORD count)?", "my <noun> is (in|called|the file|saved as|named) <f>(,|;|.) how many WORDS (is|has|does) it[ have]?"],
    "_fan": [f"{_THESE} how many WORDS (does each have|are in each|do they have|has each)?", f"{_THESE} (count|please count) the WORDS (in|of) (each|each of them|them)(|.)", "<L>(:|,| -|;) how many WORDS [in ]each?", "<L>(:|,| -|;) (WORD counts|count the WORDS)(|.|?)"],
    "_most": [f"{_OPTIONS} which (one |)(has|contains) (the most|more|most) WORDS?", f"{_OPTIONS} which is the longest (in WORDS|by WORD count)?", "(comparing|between|~pitting) <C>(:|,) which (one |)has (the most|more) WORDS?", "compare <C>(:|,|;) which (of them |of the two |one |)has (the most|more) WORDS?", "<O>(:| -|;) which (one |)(has|contains) (the most|more) WORDS?"],
    "_least": [f"{_OPTIONS} which (one |)(has|contains) (the fewest|fewer|the least) WORDS?", f"{_OPTIONS} which is the shortest (in WORDS|by WORD count)?", "(comparing|between|~pitting) <C>(:|,) which (one |)has (the fewest|fewer) WORDS?", "compare <C>(:|,|;) which (of them |of the two |one |)has (the fewest|fewer|the least) WORDS?", "<O>(:| -|;) which (one |)(has|contains) (the fewest|fewer) WORDS?"],
    "_total": [f"{_THESE} how many WORDS (do they have|is that|are there|are they) (together|in total|altogether|combined)?", f"{_THESE} (add up|sum|total) (their|the) WORDS(|.)", "<L>(:|,| -|;) (total|combined) (WORDS|WORD count)(|?|.)", "<L>(:|,| -|;) how many WORDS (together|in total|altogether)?"],
    "_average": [f"{_THESE} how many WORDS (do they have|are there) on average?", f"{_THESE} (what is|give me) (the|their) (average|mean) (WORD count|number of WORDS)(|?)", "<L>(:|,| -|;) (average|mean) (WORDS|WORD count)(|?|.)"],
    "_more": ["(I have|take|compare|consider) <f> and <g>(.|;|:) does the first [one ]have more WORDS[ than the second]?", "<f> (vs|versus|against) <g>: does the first have more WORDS?", "compare <f> (with|to|and) <g>(:|,|;) (is the first longer in WORDS|does the first have more WORDS)?"],
    "_fewer": ["(I have|take|compare|consider) <f> and <g>(.|;|:) does the first [one ]have fewer WORDS[ than the second]?"],
    "_more_n": ["<f> (must have|needs|should have) more than <n> WORDS(.|;|,) (does it|is that so|is it so)?", f"{_HAVE} does it have (more than|over) <n> WORDS?", f"{_HAVE} is it (longer than|over|more than) <n> WORDS?"],
}

_OTHER: dict[str, list[str]] = {
    "size": [f"{_HAVE} how (big|large) is it?", f"{_HAVE} (what is its size|how many bytes does it have|~what does it weigh)?", "<f>(:|,| -|;) how (big|large|many bytes)[ is it]?", f"{_HAVE} I need its size."],
    "size_fan": [f"{_THESE} how (big|large) (are they|is each)?", f"{_THESE} (give me|I need|list) their sizes(|.)", "<L>(:|,| -|;) how (big|large) (are they|is each)?", "<L>(:| -|;) sizes(|?|.)"],
    "size_most": [f"{_OPTIONS} which (one |)is (the biggest|the largest|biggest|largest|bigger)?", "compare <C>(:|,|;) which (of them |of the two |one |)is (bigger|larger|the biggest)?", "<O>(:| -|;) which (one |)is (the biggest|the largest|bigger|larger)?"],
    "size_least": [f"{_OPTIONS} which (one |)is (the smallest|smallest|smaller)?", "compare <C>(:|,|;) which (of them |of the two |one |)is (smaller|the smallest)?", "<O>(:| -|;) which (one |)is (the smallest|smaller)?"],
    "size_total": [f"{_THESE} how (big|large) are they (together|in total|altogether|combined)?", f"{_THESE} (add up|sum|total) their sizes(|.)", "<L>(:|,| -|;) (total|combined) size(|?|.)"],
    "size_average": [f"{_THESE} (what is|give me) (the|their) (average|mean) size(|?)", "<L>(:|,| -|;) (average|mean) size(|?|.)"],
    "size_more": ["(I have|take|compare|consider) <f> and <g>(.|;|:) is the first [one ](bigger|larger)[ than the second]?", "compare <f> (with|to|and) <g>(:|,|;) is the first (bigger|larger)?"],
    "size_fewer": ["(I have|take|compare|consider) <f> and <g>(.|;|:) is the first [one ]smaller[ than the second]?"],
    "size_more_n": [f"{_HAVE} is it (bigger|larger) than <n> bytes?", "<f> (must be|should be) (over|above) <n> bytes(.|;|,) is it?"],
    "pages": [f"{_HAVE} how many pages is it (at|with) <n> words (a|per) page?", f"{_HAVE} (with|at) <n> words (per|a|on each) page, how many pages (is it|is that|does it fill|will it be)?", "(a|one|each) page (has|holds|takes|fits|is) <n> words(.|;) how many pages (is|does|will|would) <f>( fill| be| have| need|)?", f"{_HAVE} if (a|one|each) page (holds|has|is|takes) <n> words, how many pages (is it|is that|does it have|does it fill|will I need)?", "my <noun> is (in|called|the file|saved as) <f>(.|;|,) how many pages of <n> words (is it|is that|does it make)?"],
    "minutes": [f"{_HAVE} how (long|many minutes) (does it take|do I need) at <n> words (a|per) minute?", "I (read|speak|type) <n> words (a|per) minute(.|;|,) how (long|many minutes) (does <f> take|do I need for <f>|will <f> take)?", f"{_HAVE} I (read|speak) <n> words (a|per) minute, how (long|many minutes) (will it take|does it take|is it)?"],
    "per_line": [f"{_HAVE} how many words per line does it have?"],
    "size_in": [f"{_HAVE} how (big|large) is it in <U>?", "<f>(:|,) size in <U>(|?|.)", f"{_HAVE} how many <U> is (it|that)?"],
    "words_lines": [f"{_HAVE} how many words and lines does it have?", "<f>: words and lines(|?|.)", f"{_HAVE} count its words and [its ]lines."],
    "calc": ["(I have|take|here is|given) <e>(.|;|:) what is (that|it|the result)?", "<e>(.|:|;|,) (what is the result|the result|how much is that|what does it make|~your verdict)?", "(my <noun> costs|I paid|we spent|I owe) <e>(,|.|;) how much is that?"],
    "convert": ["(my|the|our|this|a) <noun> (is|weighs|measures|has|takes|needs) <vA>(,|.|;) how (much|many <B>) is (that|it)( in <B>|)?".replace("how (much|many <B>) is (that|it)( in <B>|)", "how many <B> is (that|it)"), "(I|we|they|<who>) (have|need|ran|bought|used|drank|got) <vA>(,|.|;) (how much|what) is (that|it) in <B>?", "<vA>(:|,|;) how many <B>[ is that| are that]?", "(I|we|<who>) (have|need|bought|did) <vA>(,|.|;) (convert|please convert|turn) (it|that|this) (to|into) <B>.", "<vA>(,|.|;) (what is|what's) (that|it) in <B>?"],
    "convert_fan": ["(I|we|they) (have|need|bought|ran|measured) <W>(,|.|;) (how much|what) (is that|are they|is each) in <B>?", "<W>(:|,|;) (convert|please convert|turn) (them|these|each|all) (to|into) <B>.", "<W>(:|;) in <B>(|?|.)"],
    "convert_total": ["(I|we|they) (have|need|bought|ran|measured) <W>(,|.|;) (how much|what) is that (together|in total|altogether) in <B>?", "<W>(:|,|;) how many <B> (together|in total|altogether)?"],
    "convert_more": ["(I|we|<who>) (have|need|ran|bought) <vA>(,|.|;) is that more than <w> <B>?"],
    "convert_calc": ["(I|we|they) (have|need|bought) <vA> for <n> (people|<noun>s|of us)(,|.|;) how many <B> is that each?", "<vA>(,|;|:) in <B>, divided by <n>?", "<n> (people|friends|of us) share <vA>(.|,|;) how many <B> does each get?"],
    "time": ["(I|we|<who>) (am|are|is|live|lives|want to call someone|will be) in <p>(,|.|;) what time is it there[ now]?".replace("(am|are|is|live|lives|want to call someone|will be)", "(live|moved|stay|will be)"), "(I want|I need|I have) to (call|phone|reach) (someone|<who>|a friend|the office) in <p>(,|.|;) what time is it there?", "<p>(:|,| -|;) what time is it[ there]?", "my (<noun>|friend|sister|boss|colleague) (is|lives) in <p>(,|.|;) (what time is it|how late is it) there?", "<p>. (time|what time|local time|current time)?"],
    "time_fan": ["(my friends|my colleagues|our offices|we|they|people I know) are in <L>(,|.|;) what time is it there?", "<L>(:|,| -|;) what time is it (there|in each)[ now]?", "(I want|I need) to call (people|friends|offices) in <L>(,|.|;) what time is it there?"],
    "hours": ["(I live|I am|we are|we live) in <p> and (<who>|my <noun>|my friend|she|he|the office) (is|lives) in <q>(,|.|;) how many hours (apart are we|is that|lie between us)?", "<p> and <q>(:|,| -|;) how many hours apart?", "(I am flying|I fly|we fly|I travel|I move) from <p> to <q>(,|.|;) (what is the time difference|by how many hours (do|must) I change my watch|~how do I set my watch)?", "<p> (vs|versus) <q>(:|,|;) time difference?", "<p>, <q>(:|;) how many hours (between them|apart)?"],
    "days": ["(I|we|they) (start|leave|begin|move in|arrive|left|started) on <a> and (end|return|finish|come back|move out|returned|stopped) on <b>(,|.|;) how many days is (that|it)?", "(my|the|our) <noun> (is|runs|lasts|goes|was|takes place) from <a> (to|until|till) <b>(,|.|;) how many days is (that|it)?", "<a> (and|to|until) <b>(:|,| -|;) how many days[ is that| between them| apart]?", "today is <a> and (my|the) <noun> is on <b>(,|.|;) how many days are left?", "(my|the) <noun> (starts|begins) on <a> and ends on <b>(,|.|;) (how many days does it last|how long is it in days|count the days)(|?|.)", "(I was born|it began|they met) on <a>(.|;|,) how many days (is it|until) <b>?".replace("(is it|until) <b>", "is it until <b>")],
    "days_fan": ["<S>(:|,| -|;) how many days (is each|are they)?", "(my|the|our) <noun>s (are|run|last) from <T>(,|.|;) how many days (is each|are they)?"],
    "days_most": ["(I can go|the options are|my <noun> could be|take) <O>(.|;|:) which is (longest|the longest|longer)?", "<O>(:| -|;) which is (longest|the longest|longer)?"],
    "days_least": ["(I can go|the options are|my <noun> could be|take) <O>(.|;|:) which is (shortest|the shortest|shorter)?", "<O>(:| -|;) which is (shortest|the shortest|shorter)?"],
    "days_total": ["(I was away|we were away|I worked|they stayed) from <T>(,|.|;) how many days is that (together|in total|altogether)?"],
    "days_more": ["<s> or <t>(:|,|;) is the first longer?"],
    "weeks": ["(I|we|they) (start|leave|begin|move in|arrive|left|started) on <a> and (end|return|finish|come back|move out|returned|stopped) on <b>(,|.|;) how many weeks is (that|it)?", "(my|the|our|a) <noun> (is|runs|lasts|goes|was|takes place) from <a> (to|until|till) <b>(,|.|;) how many weeks is (that|it)?", "(I|we) have (a|my|our) <noun> from <a> (to|until|till) <b>(,|.|;) how (many weeks|long) is (that|it)( in weeks|)?".replace("how (many weeks|long) is (that|it)( in weeks|)", "how many weeks is (that|it)"), "<a> (and|to|until) <b>(:|,| -|;) how many weeks[ is that| between them]?", "today is <a> and (my|the) <noun> is on <b>(,|.|;) how many weeks are left?"],
    "day_hours": ["(my|the|our) <noun> (is|runs|lasts) from <a> (to|until) <b>(,|.|;) how many <U> is (that|it)?", "<a> to <b>(:|,|;) how many <U>?"],
    "total": ["(I have|here are|take|given) (|the numbers|the values|these|these numbers)(:|) <N>(.|;|:) (what is|give me) (their|the) (sum|total)(|?)", "<N>(:|;| -) (sum|total|what is the sum|add them up|how much together)(|?|.)", "(I paid|we spent|my bills are|the prices are|my scores are) <N>(,|.|;) how much is that (together|in total|altogether)?"],
    "average": ["(I have|here are|take|given) (|the numbers|the values|these|these numbers)(:|) <N>(.|;|:) (what is|give me) (their|the) (average|mean)(|?)", "<N>(:|;| -) (average|mean|what is the average|take the average)(|?|.)", "(I paid|my marks are|my scores are|the prices are|we measured) <N>(,|.|;) (what is the average|what is that on average|how much is that on average)?"],
    "calc_convert": ["(I|we) have <e> <A>(,|.|;) how many <B> is that?", "(I|we) need <e> <A>(,|.|;) what is that in <B>?", "(compute|take|calculate) <e>. (that|this|the result) is in <A>(,|.|;) (give|show|convert) it in <B>.".replace("(give|show|convert)", "(give|show)")],
    "convert_two": [],
}


def _words(word: str, words: str) -> dict[str, list[str]]:
    return {words + key: [t.replace("WORDS", words).replace("WORD", word) for t in texts] for key, texts in _COUNTS.items()}


CONTEXT: dict[str, list[str]] = {**_words("word", "words"), **_words("line", "lines"), **_OTHER}
CONTEXT_FRAMES = ["<x>", "<x>", "<x>", "<x>", "<x> (please|thanks|thank you)(|.)", "(hi|hello|hey)(,|!|.) <x>", "(please help|a question|quick question)(:|.) <x>", "so, <x>"]
