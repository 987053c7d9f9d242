"""A loan application collects its papers over weeks, from whoever sends them, in any order."""

from datetime import timedelta

from adjourn import Adjourn, Context
from adjourn.testing import Sandbox

app = Adjourn()
PAPERS = ("identity", "income", "valuation")


@app.activity
async def remind(applicant: str, missing: list[str]) -> None:
    print(f"reminder to {applicant}: {', '.join(missing)}")


@app.activity
async def decide(papers: dict[str, str]) -> str:
    return f"granted on {len(papers)} papers"


@app.orchestrator
async def application(ctx: Context, applicant: str) -> str:
    waits = {name: ctx.wait_for_external_event(name, str) for name in PAPERS}
    for _ in range(3):
        week = ctx.create_timer(timedelta(days=7))
        everything = ctx.when_all(waits.values())
        if await ctx.when_any(everything, week, keep=True) is everything:
            return await ctx.call_activity(decide, {n: w.result() for n, w in waits.items()})
        missing = [name for name, wait in waits.items() if not wait.done()]
        await ctx.call_activity(remind, applicant, missing)
    return "closed: papers are missing"


def main() -> None:
    with Sandbox(app) as box:
        run = box.start(application, "ada", id="L-1")
        box.raise_event("L-1", "income", "payslip.pdf")
        box.advance(days=8)
        box.raise_event("L-1", "valuation", "house.pdf")
        box.raise_event("L-1", "identity", "passport.pdf")
        print(run.result)


if __name__ == "__main__":
    main()

# Output:
# reminder to ada: identity, valuation
# granted on 3 papers
