#include "muonlab/study/study.h"

#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/study/case_run_internal.h"
#include "muonlab/study/claim.h"
#include "muonlab/study/recipe.h"
#include "muonlab/study/throughput.h"
#include "muonlab/train/interrupt.h"

namespace muonlab::study {

namespace {

constexpr auto kPause = std::chrono::milliseconds(200);

std::vector<StudyPlan> plans_of(const StudyPlan& plan) {
  if (plan.cases.empty()) return {plan};
  std::vector<StudyPlan> plans;
  for (const CasePlan& one : plan.cases) {
    plans.push_back(plan_of_case(plan, one));
  }
  return plans;
}

// Of several processes that begin a study together, one measures.
Claim wait_for_claim(const std::filesystem::path& folder,
                     const StudyOptions& options) {
  for (bool said = false;; said = true) {
    if (auto claim = Claim::take(folder)) return std::move(*claim);
    if (!said && options.say) {
      options.say(concat("waiting: ", claim_text(folder),
                         " finds out how to use the cores"));
    }
    if (train::interrupted()) {
      throw Error(ErrorKind::kInterrupted, "interrupted while waiting",
                  "the same command goes on from here");
    }
    std::this_thread::sleep_for(kPause);
  }
}

// Before the first cell: the thread count is part of every cell's identity. The
// record lies with the cells, which are worth nothing to another count. All
// cases of a study share it, measured on the first.
Parallel settle(StudyPlan& plan, const StudyOptions& options) {
  std::optional<Claim> claim;
  const auto folder = options.runs / plan.name;
  // Once it is recorded there is nothing to find out.
  if (options.execute && !std::filesystem::exists(folder / "parallel.json")) {
    claim = wait_for_claim(folder, options);
  }
  StudyPlan first = plans_of(plan).front();
  const Parallel parallel =
      settle_here(first, folder, options.execute, [&](const std::string& line) {
        if (options.say) options.say(line);
      });
  plan.jobs = first.jobs;
  plan.threads = first.threads;
  return parallel;
}

StudyResults run_cases(const StudyPlan& plan, const StudyOptions& options,
                       const Parallel& parallel) {
  StudyResults all;
  std::map<std::string, std::map<std::string, Trial>> chosen;  // by case
  for (const CasePlan& one : plan.cases) {
    detail::CaseContext context{.one = one, .parallel = parallel, .given = {}};
    if (!one.rates_from.empty()) {
      context.given = chosen[one.rates_from];
      // A report on a study under way: that case has not chosen yet.
      if (context.given.size() < plan.arms.size()) continue;
    }
    for (const ArmPlan& arm : plan.arms) {
      if (const auto trial = one.given(arm.name)) {
        context.given.emplace(arm.name, *trial);
      }
    }
    detail::CaseRun run(plan_of_case(plan, one), context, options);
    all.cases.push_back(run.run());
    chosen[one.name] = run.chosen();
  }
  if (all.cases.empty()) return all;
  all.setup = all.cases.front().setup;
  all.setup.name = plan.name;
  all.setup.title = plan.title;
  return all;
}

}  // namespace

StudyResults run_study(const StudyPlan& plan, const StudyOptions& options) {
  if (options.execute) {
    core::check_writable(options.runs / plan.name);
    core::check_writable(study_folder(plan, options));
  }
  const train::InterruptGuard guard;
  StudyPlan settled = plan;
  if (options.execute) {
    for (const StudyPlan& one : plans_of(plan)) {
      ensure_dataset(one, options.say);
    }
  }
  const Parallel parallel = settle(settled, options);
  if (!plan.cases.empty()) return run_cases(settled, options, parallel);
  detail::CaseContext context{.one = {}, .parallel = parallel, .given = {}};
  StudyResults all;
  all.cases.push_back(detail::CaseRun(settled, context, options).run());
  all.setup = all.cases.front().setup;
  return all;
}

std::filesystem::path study_folder(const StudyPlan& plan,
                                   const StudyOptions& options) {
  return options.studies / plan.name;
}

}  // namespace muonlab::study
