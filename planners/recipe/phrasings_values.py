"""How do people ask about arithmetic, units, clocks and dates?

It does not know which calls answer them; a leading `~` keeps a template or an alternative out of training.
"""

# fmt: off
from __future__ import annotations

from phrasings_files import Moods

VALUE_PHRASINGS: dict[str, Moods] = {
    "calc": {
        "np": ["<e>", "<e>", "<e>", "the (result|value|outcome|~product) of <e>", "the answer (to|of) <e>", "<e> as a number", "<e> =", "the sum <e>", "the (calculation|computation) <e>", "the solution (to|of) <e>", "~the figure for <e>", "(result|value) of <e>", "<e> worked out"],
        "q": ["what is <e>", "what's <e>", "how much is <e>", "what does <e> (make|give|equal|come to|~yield|evaluate to|add up to)", "what (do|would) (I|you|we) get for <e>", "what do you get (if you compute|when you compute|from|out of) <e>", "<e> is what", "<e> equals what", "<e> is how much", "~how much does <e> amount to", "what is the (result|value|answer) of <e>", "how much would <e> be", "whats <e>", "what will <e> be"],
        "iq": ["what <e> is", "how much <e> is", "what <e> (makes|gives|equals|comes to)", "~what <e> works out to", "what you get for <e>", "how much <e> (makes|gives)"],
        "imp": ["(compute|calculate|evaluate|work out|solve|do|figure out|~crunch) <e>", "add it up: <e>", "(do|make) the (sum|math|maths|calculation): <e>", "~get <e> done", "calc <e>", "say what <e> is", "(compute|calculate|solve) this: <e>"],
    },
    "calc_more": {
        "np": ["whether <e> is (more|greater|bigger|larger) than <n>", "if <e> is (more|greater|bigger) than <n>"],
        "q": ["is <e> (more|greater|bigger|larger|higher) than <n>", "is <e> (above|over) <n>", "is it true that <e> is (more|greater) than <n>", "~does <e> exceed <n>", "does <e> (make|give|come to) more than <n>"],
        "iq": ["whether <e> is (more|greater|larger) than <n>", "if <e> is (more|greater|bigger) than <n>"],
        "imp": ["check (whether|if) <e> is (more|greater|larger) than <n>", "~verify that <e> is over <n>"],
    },
    "calc_less": {
        "np": ["whether <e> is (less|smaller|lower) than <n>", "if <e> is (less|smaller) than <n>"],
        "q": ["is <e> (less|smaller|lower|fewer) than <n>", "is <e> (below|under) <n>", "is it true that <e> is (less|smaller) than <n>", "does <e> (make|give|come to) less than <n>"],
        "iq": ["whether <e> is (less|smaller) than <n>", "if <e> is (less|smaller) than <n>"],
        "imp": ["check (whether|if) <e> is (less|smaller) than <n>", "~verify that <e> is under <n>"],
    },
    "convert": {
        "np": [
            "<vA> in <B>", "<vA> to <B>", "<vA> into <B>", "<vA> (converted to|converted into|as|expressed in|~given in|in terms of|written in|measured in) <B>", "the (number|amount|~count) of <B> in <vA>", "the <B> in <vA>",
            "the conversion of <vA> (to|into) <B>", "<B> for <vA>", "<B> in <vA>", "~what <vA> amounts to in <B>", "<vA> = ? <B>", "<vA> -> <B>", "the value of <vA> in <B>", "<vA>, in <B>", "the equivalent of <vA> in <B>", "<B> from <vA>",
        ],
        "q": [
            "how many <B> (is|are|are in|are there in|in|make|make up|~go into) <vA>", "how many <B> does <vA> (make|equal|have|come to|correspond to)", "how many <B> do <vA> (make|equal|have|come to|correspond to)", "what is <vA> in <B>", "what's <vA> in <B>", "what are <vA> in <B>", "how (much|many) is <vA> in <B>",
            "how (long|far|heavy|big|large|hot|cold|fast|much|warm|tall|high) is <vA> in <B>", "<vA> is how many <B>", "<vA> are how many <B>", "<vA> (is|are|equals) what in <B>", "what (does|do|would) <vA> (make|be|come to|give|equal) in <B>", "how many <B> are the same as <vA>", "~how many <B> would <vA> translate to", "how much are <vA> in <B>",
            "if (something|it|a thing) (is|has|weighs|measures) <vA>, how many <B> is (that|it)", "<vA>, how (much|many <B>) is that( in <B>|)", "how many <B> do I get (from|for|out of) <vA>",
        ],
        "iq": ["how many <B> <vA> (is|are|make|makes)", "what <vA> (is|are) in <B>", "how many <B> (there are|are|fit) in <vA>", "how much <vA> (is|are) in <B>", "~how many <B> you get from <vA>", "how many <B> make <vA>"],
        "imp": ["convert <vA> (to|into) <B>", "(turn|change|transform|~translate|switch) <vA> (to|into) <B>", "(express|give|show|put|write|~state) <vA> in <B>", "do <vA> to <B>", "make <B> (of|out of|from) <vA>", "(convert|turn) <vA> in <B>", "(calculate|compute|find|work out) <vA> in <B>", "(convert|change) (to|into) <B>: <vA>"],
    },
    "convert_fan": {
        "np": ["<VA> in <B>", "<VA> to <B>", "<VA> into <B>", "<W> in <B>", "<W> to <B>", "<W> (converted to|as|expressed in|~given in) <B>", "the conversions of <VA> (to|into) <B>", "the <B> in <W>", "<VA> (converted to|as) <B>", "the numbers of <B> in <W>"],
        "q": ["what are <VA> in <B>", "what are <W> in <B>", "how many <B> are <VA>", "how many <B> are (in |)<W>", "how much (is|are) <W> in <B>", "~how many <B> would <W> be", "<W> are how many <B>"],
        "iq": ["how many <B> <W> are", "what <VA> are in <B>", "what <W> are in <B>", "how many <B> are in <W>"],
        "imp": ["convert <VA> (to|into) <B>", "convert <W> (to|into) <B>", "convert each of <W> (to|into) <B>", "(turn|change) <VA> (to|into) <B>", "(express|give|show|put|~state) <W> in <B>", "(turn|change|transform) <W> (to|into) <B>", "convert all of these (to|into) <B>: <W>"],
    },
    "convert_total": {
        "np": ["the (total|sum|combined value) of <W> in <B>", "<W> (together|in total|combined|altogether) in <B>", "the sum of <VA> in <B>", "<VA> (together|in total) in <B>", "<W> (added up|added together|summed up) in <B>", "~<W> lumped together in <B>"],
        "q": ["how many <B> are <W> (together|in total|altogether|combined)", "what are <W> (together|in total|combined|altogether) in <B>", "what do <VA> make together in <B>", "what is the (sum|total) of <W> in <B>", "how many <B> do <W> (make|add up to|~sum to) (together|in total|)", "how much is <W> (together|in total|altogether) in <B>"],
        "iq": ["how many <B> <W> are (together|in total)", "what <W> make together in <B>"],
        "imp": ["convert <W> (to|into) <B> and (add them up|sum them|sum the results|add the results|total them|give me the total|~sum the lot)", "convert <VA> (to|into) <B> and (add them up|sum them|add the results|give me the total)", "add [up] <W> in <B>", "(sum|total) [up] <W> in <B>"],
    },
    "convert_more": {
        "np": ["whether <vA> is more than <w> <B>", "if <vA> is (longer|heavier|greater|more) than <w> <B>"],
        "q": ["is <vA> (more|greater|bigger|larger|longer|heavier|higher|faster|warmer) than <w> <B>", "are <vA> (more|greater|longer|heavier|bigger) than <w> <B>", "is it true that <vA> (is|are) more than <w> <B>", "~does <vA> exceed <w> <B>"],
        "iq": ["whether <vA> (is|are) more than <w> <B>", "if <vA> (is|are) (more|longer|greater) than <w> <B>"],
        "imp": ["check (whether|if) <vA> (is|are) more than <w> <B>", "~verify that <vA> beats <w> <B>", "convert <vA> to <B> and say if it is more than <w>"],
    },
    "time": {
        "np": ["[the ](time|current time|~local time|exact time|clock time|present time) (in|at|for|of) <p>", "<p> time", "[the ](local time|time now|time right now) in <p>", "[the ]time (it is|they have) in <p>", "~what the clocks read in <p>", "the hour in <p>", "<p>'s (time|current time|~clock)", "the (date and time|time and date|time of day) in <p>", "the current (hour|date) in <p>", "time, <p>", "[the ]time now, <p>", "<p>, the time", "<p> local time"],
        "q": ["what time is it [right now |now |currently |at the moment ]in <p>[ now| right now| at the moment|]", "what's the [current |local |]time in <p>", "what is the [current |local |exact |]time in <p>", "what's the time [over |]in <p>", "how late is it in <p>[ now]", "what (hour|date) is it in <p>", "what do the clocks (say|show) in <p>", "what does the clock (say|show) in <p>", "which time is it in <p>", "what time do they have in <p>", "~what hour have they got in <p>", "what time would it be in <p> now", "in <p>, what time is it", "time in <p>", "~how late are they in <p>", "what time it is in <p>"],
        "iq": ["what time it is in <p>", "what the time is in <p>", "how late it is in <p>", "what the [local |current |]time in <p> is", "~which hour it is over in <p>", "what time they have in <p>", "what time is it in <p>"],
        "imp": ["(look up|check|say|give|show|find|get|read) the [current |local |]time in <p>", "check the clock in <p>", "say what time it is in <p>", "~tell the hour for <p>", "(find out|check|see) what time it is in <p>"],
    },
    "time_fan": {
        "np": ["[the ][current |local |](time|times) in <L>", "[the ]current times (for|of|in) <L>", "the clocks in <L>", "the time in each of <L>", "time: <L>", "times, <L>", "~the hours over in <L>", "[the ](local times|time now) in <L>", "<L> time"],
        "q": ["what time is it in <L>[ now| right now]", "what's the [current |local |]time in <L>", "what are the [local |current ]times in <L>", "what is the [current |local ]time in <L>", "how late is it in <L>", "what do the clocks say in <L>", "what time is it in each of <L>", "~which times do they have in <L>", "what times are there in <L>"],
        "iq": ["what time it is in <L>", "how late it is in <L>", "what the times in <L> are", "what the time is in <L>"],
        "imp": ["(look up|check|list|give|show|find|get) the [current |local |](time|times) in <L>", "check the clocks in <L>", "say what time it is in <L>", "~tell the hours for <L>"],
    },
    "hours": {
        "np": ["[the ](time difference|difference in time|hour difference|time gap|~offset|difference in hours|number of hours) between <p> and <q>", "the hours between <p> and <q>", "how far apart <p> and <q> are in time", "hours between <p> and <q>", "the (gap|lag|time lag|shift|spread|clock difference)( in hours|) between <p> and <q>", "the hours <p> is from <q>", "the time difference from <p> to <q>", "<p> and <q> time difference", "the time zone difference (of|between) <p> and <q>", "the difference between the clocks (of|in) <p> and <q>", "time difference <p> - <q>", "how far <p> is (ahead of|behind) <q>", "<p> to <q> in hours of time difference"],
        "q": [
            "how many hours (apart are|are there between|are between|lie between|is it between|separate|~divide) <p> and <q>", "what is the (time difference|difference in hours|hour difference|time gap|difference in time) between <p> and <q>", "what's the time difference between <p> and <q>", "how many hours (ahead of|behind) is <p>( from|) <q>", "how many hours is <p> (ahead of|behind|before|after|~in front of|away from) <q>", "what (is|lies) between <p> and <q> in hours", "how different is the time in <p> and [in ]<q>", "how many hours must I add to <p> time to get <q> time", "by how many hours (do|does) <p> (and|differ from) <q>( differ|)", "how far (ahead of|behind) <q2> is <p2>",
            "how far is <p> (ahead of|behind) <q>[ in hours| in time]", "how many hours does <p> differ from <q>", "by how many hours (is <p> ahead of <q>|is <p> behind <q>|do <p> and <q> differ)", "how far apart are <p> and <q> (in hours|in time|in time zones|by the clock)", "~what separates <p> from <q> in hours", "is it (later|earlier) in <p> (than in|or in) <q>", "is <p> (ahead of|behind) <q>( in time|, and by how much|, and by how many hours|)", "what is the difference between the time in <p> and (the time |)in <q>", "how much (later|earlier) is it in <p> than in <q>", "how many hours (later|earlier) is it in <p> than in <q>",
            "how far apart are the (times|time zones|clock times) (of|in) <p> and <q>",
        ],
        "iq": ["how many hours apart <p> and <q> are", "how many hours (lie|there are) between <p> and <q>", "by how many hours <p> and <q> differ", "how far <p> is (ahead of|behind) <q>", "how many hours <p> is (ahead of|behind) <q>", "~what the clock gap of <p> and <q> is"],
        "imp": ["compare the (clocks|times|time) (of|in) <p> and <q>", "(compute|find|work out|calculate|get) the (time difference|hours|difference in hours) between <p> and <q>", "count the hours between <p> and <q>", "~subtract the clock of <p> from that of <q>", "say how many hours <p> is (ahead of|behind) <q>"],
    },
    "days": {
        "np": ["[the ](number|count|~tally|amount) of days (from <a> to|between <a> and|from <a> until|from <a> till) <b>", "[the ]days (from <a> to|between <a> and|from <a> until|from <a> till) <b>", "[the ](day count|time in days|distance in days|~stretch in days|length in days) (from <a> to|between <a> and|from <a> until) <b>", "<a> to <b> in days", "the difference in days between <a> and <b>", "the days between <a> and <b>", "the time (from <a> to|between <a> and) <b> in days", "days, <a> to <b>", "<a> - <b> in days", "the days to go from <a> (to|until) <b>", "the (length|duration) of <a> to <b> in days"],
        "q": [
            "how many days (are|are there|lie|is it|were there|will there be|~elapse) between <a> and <b>", "how many days (is it|are there|are|will it be|does it take) from <a> (to|until|till) <b>", "how (long|far) is it from <a> (to|until|till) <b> in days", "how many days (pass|go by|go|~slip by) (from <a> to|between <a> and|from <a> until) <b>", "how many days between <a> and <b>", "how many days from <a> to <b>", "how many days is <a> (from|before|~ahead of) <b>", "what is the (number of days|difference in days|distance in days) between <a> and <b>",
            "how many days after <a> (is|comes|was) <b>", "from <a> (to|until) <b>, how many days is (it|that)", "starting (on|at) <a> and ending (on|at) <b>, how many days is that", "how many days (apart are|separate) <a> and <b>", "if (I|we) (leave|start|begin|go) (on |)<a> and (come back|finish|end|return|stop) (on |)<b>, how many days is (that|it)", "~<a> until <b> makes how many days", "<a> to <b> is how many days", "(something|it|the thing) (starts|begins|runs|lasts) (on|from) <a> (and ends on|to|until) <b>, how many days is that",
        ],
        "iq": ["how many days (lie|there are|are) between <a> and <b>", "how many days it is from <a> (to|until) <b>", "how long it is from <a> to <b> in days", "how many days <a> is from <b>", "~how many days elapse from <a> to <b>", "how many days (pass|go by) between <a> and <b>"],
        "imp": ["count the days (from <a> to|between <a> and|from <a> until|from <a> till) <b>", "(compute|calculate|work out|find|get) the [number of ]days (from <a> to|between <a> and|from <a> until) <b>", "~tally the days from <a> to <b>", "take the days from <a> to <b>", "subtract <a> from <b> in days"],
    },
    "days_fan": {
        "np": ["[the ][number of ]days (in|of|for) <S>", "[the ]days in each of <S>", "[the ]lengths of <S> in days", "the days (from|of) <T>", "[the ]number of days from <T>", "the days between <R>", "days from <T>", "days between <R>", "~the durations of <S> in days"],
        "q": ["how many days (is it|are there) from <T>", "how many days are <S>", "how many days (are there|lie|are) between <R>", "how many days is each of <S>", "how long are <S> in days", "how many days between <R>", "~how many days do <S> span", "how many days from <T>"],
        "iq": ["how many days <S> are", "how many days (there are|are|lie) between <R>", "how many days it is from <T>"],
        "imp": ["count the days (in|of) <S>", "count the days from <T>", "count the days between <R>", "(compute|calculate|work out|find|get) the days (from <T>|between <R>)", "~tally the days for <S>"],
    },
    "days_most": {
        "np": ["the (longest|~lengthiest) of <O>", "the longest (span|period|stretch|range|time)(,|:| of|) <O>", "which of <O> is the longest", "the period with the most days(,|:| of) <O>"],
        "q": ["which (span|period|range|stretch|one|time|~interval) is (longest|the longest|longer)(,|:) <O>", "which is (longest|the longest|longer)(,|:) <O>", "which of <O> (is|lasts) (longest|the longest|longer)", "which of <O> has the most days", "(among|of|out of) <O>, which is (the longest|longest)", "what is the longest (span|period|of)(|:) <O>", "which has more days(,|:) <O>"],
        "iq": ["which of <O> is (the longest|longest)", "which of <O> has the most days"],
        "imp": ["compare <O>(:|;|, and say|) which is (longest|longer)", "pick the longest (from|of|out of) <O>", "find the longest of <O>", "~rank <O> and name the longest"],
    },
    "days_least": {
        "np": ["the (shortest|~briefest) of <O>", "the shortest (span|period|stretch|range|time)(,|:| of|) <O>", "which of <O> is the shortest", "the period with the fewest days(,|:| of) <O>"],
        "q": ["which (span|period|range|stretch|one|time|~interval) is (shortest|the shortest|shorter)(,|:) <O>", "which is (shortest|the shortest|shorter)(,|:) <O>", "which of <O> (is|lasts) (shortest|the shortest|shorter)", "which of <O> has the (fewest|least) days", "(among|of|out of) <O>, which is (the shortest|shortest)", "what is the shortest (span|period|of)(|:) <O>", "which has fewer days(,|:) <O>"],
        "iq": ["which of <O> is (the shortest|shortest)", "which of <O> has the fewest days"],
        "imp": ["compare <O>(:|;|, and say|) which is (shortest|shorter)", "pick the shortest (from|of|out of) <O>", "find the shortest of <O>", "~rank <O> and name the shortest"],
    },
    "days_total": {
        "np": ["the (total|combined|overall) [number of ]days (of|in|for) <S>", "the days of <S> (together|combined|in total|added up)", "the sum of the days (of|in) <S>", "~<S> lumped together in days", "the total of days from <T>"],
        "q": ["how many days are <S> (together|combined|in total|altogether)", "how many days (is it|are there) from <T> (together|in total|altogether)", "what is the total number of days (of|in|for) <S>", "~what do <S> sum to in days", "in total, how many days are <S>"],
        "iq": ["how many days <S> are (together|in total|combined)", "how many days <S> make together"],
        "imp": ["add [up] the days (of|in) <S>", "sum the days (of|in) <S>", "(count the days of <S>|count the days from <T>) and (add them up|sum them|total them)", "total the days (of|in) <S>"],
    },
    "days_average": {
        "np": ["the (average|mean) [number of ]days (of|in|for) <S>", "the average length of <S> in days", "the days of <S> on average"],
        "q": ["how many days are <S> on average", "what is the (average|mean) number of days (of|in|for) <S>", "on average, how many days are <S>", "~what do <S> average in days"],
        "iq": ["how many days <S> are on average"],
        "imp": ["average the days (of|in) <S>", "count the days of <S> and (average them|take the average|take the mean)"],
    },
    "days_more": {
        "np": ["whether <s> is longer than <t>", "if <s> (is longer|has more days) than <t>"],
        "q": ["is <s> longer than <t>", "is it longer from <s> than from <t>", "does <s> have more days than <t>", "~does <s> outlast <t>", "is the (time|span|period|stretch) (from|of|) <s> longer than (|the one from |that from )<t>", "are there more days (from|in) <s> than (from|in) <t>"],
        "iq": ["whether <s> is longer than <t>", "if <s> is longer than <t>"],
        "imp": ["check (whether|if) <s> is longer than <t>", "~verify that <s> is longer than <t>"],
    },
    "weeks": {
        "np": ["[the ](number|count|~tally) of weeks (from <a> to|between <a> and|from <a> until) <b>", "[the ]weeks (from <a> to|between <a> and|from <a> until|from <a> till) <b>", "<a> to <b> in weeks", "the (difference|time|distance) in weeks between <a> and <b>", "the time (from <a> to|between <a> and) <b> in weeks", "weeks, <a> to <b>", "<a> - <b> in weeks", "the days between <a> and <b> divided by 7", "~the stretch in weeks from <a> to <b>", "the week count from <a> to <b>"],
        "q": [
            "how many weeks (are|are there|lie|is it|were there|~elapse) between <a> and <b>", "how many weeks (is it|are there|are|will it be) from <a> (to|until|till) <b>", "how (long|far) is it from <a> (to|until|till) <b> in weeks", "how many weeks (pass|go by|go) (from <a> to|between <a> and|from <a> until) <b>", "how many weeks between <a> and <b>", "how many weeks from <a> to <b>", "what is the number of weeks between <a> and <b>", "how many weeks after <a> (is|comes) <b>", "from <a> (to|until) <b>, how many weeks is (it|that)", "starting (on|at) <a> and ending (on|at) <b>, how many weeks is that", "~<a> until <b> makes how many weeks",
            "if (I|we) (leave|start|begin|go) (on |)<a> and (come back|finish|end|return|stop) (on |)<b>, how many weeks is (that|it)", "(something|it|the thing) (starts|begins|runs|lasts) (on|from) <a> (and ends on|to|until) <b>, how many weeks is that", "how many weeks apart are <a> and <b>", "<a> to <b> is how many weeks",
        ],
        "iq": ["how many weeks (lie|there are|are) between <a> and <b>", "how many weeks it is from <a> (to|until) <b>", "how long it is from <a> to <b> in weeks", "~how many weeks elapse from <a> to <b>"],
        "imp": ["count the weeks (from <a> to|between <a> and|from <a> until|from <a> till) <b>", "(compute|calculate|work out|find|get) the [number of ]weeks (from <a> to|between <a> and|from <a> until) <b>", "~tally the weeks from <a> to <b>", "take the days from <a> to <b> and divide (them |that |)by 7"],
    },
    "day_hours": {
        "np": ["[the ]number of <U> (from <a> to|between <a> and|from <a> until) <b>", "[the ]<U> (from <a> to|between <a> and|from <a> until) <b>", "<a> to <b> in <U>", "the time (from <a> to|between <a> and) <b> in <U>", "~the stretch from <a> to <b> in <U>", "the days from <a> to <b> (converted to|in) <U>"],
        "q": ["how many <U> (are|are there|lie|is it) between <a> and <b>", "how many <U> (is it|are there|are) from <a> (to|until) <b>", "how (long|far) is it from <a> (to|until) <b> in <U>", "how many <U> (pass|go by) (from <a> to|between <a> and) <b>", "from <a> to <b>, how many <U> is (it|that)", "~<a> until <b> makes how many <U>"],
        "iq": ["how many <U> (lie|there are|are) between <a> and <b>", "how many <U> it is from <a> to <b>"],
        "imp": ["count the <U> (from <a> to|between <a> and) <b>", "(compute|calculate|work out|find) the <U> (from <a> to|between <a> and) <b>", "count the days from <a> to <b> and convert (them|that|it) to <U>"],
    },
    "total": {
        "np": ["the (sum|total|~grand total) of <N>", "<N> (added up|added together|in total|together|summed|summed up)", "the sum (for|from) <N>", "sum of <N>", "total of <N>", "the sum of these numbers: <N>", "sum: <N>", "total, <N>", "the total (for|from) <N>", "the sum of the numbers <N>"],
        "q": ["what is the (sum|total) of <N>", "what's the (sum|total) of <N>", "what do <N> (add up to|sum to|make together|make in total|~tot up to|come to together)", "how much (are|is|do) <N> (together|in total|altogether|add up to)", "what (are|is) <N> (together|in total|added up|altogether)", "how much is the sum of <N>"],
        "iq": ["what <N> (add up to|make together|sum to|make in total)", "how much <N> (are together|make together|add up to)", "what the (sum|total) of <N> is"],
        "imp": ["add [up |together ]<N>", "(sum|sum up|total|total up|~tot up) <N>", "add <N> together", "add <N> up", "(calculate|compute|find|work out|take|get) the (sum|total) of <N>", "add up these numbers: <N>", "sum these: <N>"],
    },
    "average": {
        "np": ["the (average|mean|arithmetic mean) of <N>", "<N> on average", "<N> averaged", "the mean (value|) of <N>", "~the typical value of <N>", "average of <N>", "the average (for|from) <N>", "mean: <N>", "average, <N>", "the average of these numbers: <N>", "the average of the numbers <N>"],
        "q": ["what is the (average|mean) of <N>", "what's the (average|mean) of <N>", "what do <N> average( to|)", "how much (are|is) <N> on average", "~what do <N> average out at", "what (are|is) <N> on average", "what is the (average|mean) value of <N>"],
        "iq": ["what the (average|mean) of <N> is", "what <N> average to", "how much <N> are on average"],
        "imp": ["average <N>", "(calculate|compute|find|work out|take|get) the (average|mean) of <N>", "~take the middle of <N>", "average these: <N>", "average out <N>", "take <N> and average them"],
    },
    "calc_convert": {
        "np": ["<e> <A> in <B>", "<e> <A> to <B>", "<e> <A> (converted to|as|expressed in|~given in|converted into) <B>", "the result of <e>, converted from <A> to <B>", "<e> converted from <A> (to|into) <B>", "the <B> in <e> <A>"],
        "q": ["what is <e> <A> in <B>", "how many <B> (is|are|are in) <e> <A>", "what is <e> converted from <A> (to|into) <B>", "what do you get if you (compute|take|calculate) <e> and (turn|convert) (that|it|the result) from <A> (to|into) <B>", "how (many|much) <B> do <e> <A> make", "~what would <e> <A> be in <B>", "how much is <e> <A> in <B>", "what do I get if I take <e> and turn that many <A> into <B>", "what is <e> as <A> in <B>"],
        "iq": ["how many <B> <e> <A> are", "what <e> <A> is in <B>", "how many <B> are in <e> <A>"],
        "imp": ["(compute|calculate|take|work out|do|evaluate) <e> and (convert|turn|change) (it|that|the result|the answer) from <A> (to|into) <B>", "convert <e> <A> (to|into) <B>", "(compute|calculate|work out|take) <e> and (express|give|show|~state) that many <A> in <B>", "convert (the result of |)<e> from <A> (to|into) <B>", "(compute|calculate) <e> <A> in <B>", "(take|do|compute) <e>, then convert (it |that |the result |)from <A> (to|into) <B>", "take <e> and turn that many <A> (to|into) <B>"],
    },
    "convert_calc": {
        "np": ["<vA> in <B>, (divided|split) by <n>", "<vA> in <B> divided by <n>", "<vA> (converted to|to|as) <B>, then divided by <n>"],
        "q": ["what is <vA> in <B> divided by <n>", "how many <B> is <vA> divided by <n>", "if <vA> (is|are) (split|divided|shared) (by|into|among|between) <n>, how many <B> is (each|that|each part)", "what do I get if I convert <vA> to <B> and divide by <n>", "~how many <B> apiece when <n> share <vA>"],
        "iq": ["what <vA> in <B> divided by <n> is", "how many <B> <vA> divided by <n> is"],
        "imp": ["convert <vA> (to|into) <B> and (divide|split) (it|that|the result|) by <n>", "convert <vA> (to|into) <B>, then divide (it |that |the result |)by <n>", "(turn|change) <vA> (to|into) <B> and divide (it|the result|that) by <n>", "divide <vA> in <B> by <n>"],
    },
}
