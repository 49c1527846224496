#include "muonlab/study/study.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "muonlab/core/error.h"
#include "muonlab/core/file_lock.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/study/collect.h"
#include "muonlab/study/parallel.h"
#include "muonlab/study/process_pool.h"
#include "muonlab/study/search.h"
#include "muonlab/study/throughput.h"
#include "muonlab/study/wording_internal.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/interrupt.h"
#include "muonlab/train/open_dataset.h"

namespace muonlab::study {

namespace {

constexpr auto kPollPause = std::chrono::milliseconds(30);
constexpr auto kPatience = std::chrono::seconds(2);
constexpr int kDivergedExit = 5;
constexpr const char* kAlreadyDone = "already done";

// What the scheduler knows of a cell beside what the report needs.
struct Job {
  std::size_t arm = 0;
  std::size_t cell = 0;  // index into Results::cells
  std::filesystem::path folder;
  std::string identity;
  train::RunConfig config;
};

class Scheduler {
 public:
  Scheduler(const StudyPlan& plan, const StudyOptions& options)
      : plan_(plan), options_(options) {
    train::RunConfig first = cell_config(plan, plan.arms.front(), "search",
                                         plan.search_seed, {1e-3, 1e-3});
    const data::Dataset dataset = train::open_dataset(first);
    for (const auto split :
         {data::Split::kSelection, data::Split::kReporting}) {
      train::check_windows(dataset.info(), split, first.model.context,
                           first.eval_windows);
    }
    dataset_hash_ = dataset.hash();
    vocabulary_ = dataset.info().vocabulary;
    windows_ = first.eval_windows;
    results_.setup = describe_setup(plan, first, dataset);
    results_.setup.command = options.command;
    results_.commands = {"scripts/setup", prepare_command(plan, dataset.info()),
                         options.command};
    for (const ArmPlan& arm : plan.arms) {
      searches_.emplace_back(arm, plan.extensions);
      Arm& shown = results_.arms.emplace_back();
      shown.name = arm.name;
      shown.rule = arm.rule;
      shown.description = arm.description;
    }
    planned_ = planned_cells(plan_);
    results_.setup.planned_cells = static_cast<std::int64_t>(planned_);
  }

  Results run() {
    const train::InterruptGuard guard;
    settle();
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) ask(arm);
    drain(static_cast<std::size_t>(*plan_.jobs));
    if (std::ranges::all_of(searches_, &ArmSearch::finished)) {
      queue_timing();
      drain(1);  // alone on the machine, so that the times mean something
    }
    fill_arms();
    finish_cells(plan_, results_);
    return std::move(results_);
  }

 private:
  // Before the first cell: the thread count is part of every cell's identity.
  // The record lies with the cells, which are worth nothing to another count.
  void settle() {
    const Parallel parallel =
        settle_here(plan_, options_.runs / plan_.name, options_.execute,
                    [&](const std::string& line) { say(line); });
    results_.setup.jobs = parallel.form.jobs;
    results_.setup.threads = parallel.form.threads;
    results_.setup.parallel =
        concat(form_text(parallel.form), ": ", parallel.reason);
    begin_ = std::chrono::steady_clock::now();
  }

  void ask(std::size_t arm) {
    for (const Rates rates : searches_[arm].next()) {
      add(arm, "search", plan_.search_seed, rates,
          searches_[arm].is_extension(rates));
    }
    if (!searches_[arm].finished() || asked_final_.count(arm) != 0) return;
    asked_final_.insert(arm);
    const Rates best = searches_[arm].best();
    say(concat(plan_.arms[arm].name, ": search done, best ",
               detail::trial_text(plan_.arms[arm], best)));
    for (const std::int64_t seed : plan_.final_seeds) {
      add(arm, "final", seed, best, false);
    }
  }

  void queue_timing() {
    if (plan_.timing_steps == 0) return;
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) {
      add(arm, "timing", plan_.search_seed, searches_[arm].best(), false);
    }
  }

  void add(std::size_t arm, const std::string& phase, std::int64_t seed,
           Rates rates, bool extension) {
    Job job{.arm = arm,
            .cell = results_.cells.size(),
            .folder = {},
            .identity = {},
            .config = cell_config(plan_, plan_.arms[arm], phase, seed, rates)};
    train::resolve(job.config);
    job.config.model.vocabulary = vocabulary_;
    if (job.config.eval_windows == 0) job.config.eval_windows = windows_;
    job.identity = train::run_identity(job.config, dataset_hash_);
    Cell cell;
    cell.id = concat(plan_.arms[arm].name, "-", job.identity.substr(0, 8), "-s",
                     seed);
    cell.arm = plan_.arms[arm].name;
    cell.phase = phase;
    cell.seed = static_cast<std::uint64_t>(seed);
    cell.hidden_lr = rates.hidden;
    cell.auxiliary_lr = rates.auxiliary;
    cell.state = "queued";
    cell.extension = extension;
    job.folder = options_.runs / plan_.name / cell.id;
    results_.cells.push_back(std::move(cell));
    queue_.push_back(std::move(job));
  }

  // Runs everything queued, and what its results ask for, `jobs` at a time.
  void drain(std::size_t jobs) {
    ProcessPool pool;
    std::map<std::size_t, Job> running;
    while (!queue_.empty() || pool.running() > 0) {
      if (train::interrupted()) {
        throw Error(ErrorKind::kInterrupted,
                    concat("study '", plan_.name, "': interrupted after ",
                           ended_, " of ", planned_, " cells"),
                    "the same command goes on from here");
      }
      if (!queue_.empty() && pool.running() < jobs) {
        Job job = std::move(queue_.front());
        queue_.pop_front();
        if (!take_finished(job) && options_.execute) {
          launch(pool, job);
          running.emplace(job.cell, std::move(job));
        }
        continue;
      }
      if (const auto ended = pool.poll()) {
        const Job job = std::move(running.extract(ended->ticket).mapped());
        finish(job, ended->exit_code);
      } else if (pool.running() > 0) {
        std::this_thread::sleep_for(kPollPause);
      }
    }
  }

  void launch(ProcessPool& pool, const Job& job) {
    core::make_folder(job.folder);
    train::RunConfig config = job.config;
    const auto file = job.folder / "cell.toml";
    core::write_file(file, train::fields_of(config).to_toml(false));
    results_.cells[job.cell].state = "running";
    pool.start(
        {.ticket = job.cell,
         .arguments = {"train", file.string(), "--out", job.folder.string(),
                       "--quiet", "--child-of", std::to_string(::getpid())},
         .output = job.folder / "output.txt",
         .threads = config.threads});
  }

  // True when the folder already holds this cell's result.
  bool take_finished(const Job& job) {
    if (!read_finished(job.folder, job.identity, results_.cells[job.cell])) {
      return false;
    }
    record(job, kAlreadyDone);
    return true;
  }

  void finish(const Job& job, int exit_code) {
    Cell& cell = results_.cells[job.cell];
    if (train::interrupted()) return;
    if (exit_code != 0 && exit_code != kDivergedExit) {
      throw cell_error(cell.id, job.folder, exit_code);
    }
    if (!read_finished(job.folder, job.identity, cell)) {
      throw Error(ErrorKind::kInternal,
                  concat("cell ", cell.id, ": ended without a result in ",
                         job.folder.string()));
    }
    record(job, core::duration(cell.wall_seconds));
  }

  void record(const Job& job, const std::string& how) {
    const Cell& cell = results_.cells[job.cell];
    if (cell.state == "diverged" && !std::isfinite(cell.initial_loss)) {
      throw Error(ErrorKind::kDiverged,
                  concat("cell ", cell.id, ": ", cell.cause),
                  "not even the first batch has a finite loss: check the "
                  "initial weights in the [model] section");
    }
    ++ended_;
    if (how != kAlreadyDone) ++executed_;
    say(concat("cell ", ended_, "/", planned_, " ",
               detail::outcome_text(plan_.arms[job.arm], cell), " | ", how,
               remaining()));
    if (cell.phase == "search") {
      searches_[job.arm].record({cell.hidden_lr, cell.auxiliary_lr},
                                cell.loss.value_or(cell.initial_loss),
                                cell.state == "diverged");
      ask(job.arm);
    }
  }

  std::string remaining() const {
    if (executed_ == 0 || ended_ >= planned_) return "";
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_)
            .count();
    return " | eta " +
           core::duration(seconds * static_cast<double>(planned_ - ended_) /
                          static_cast<double>(executed_));
  }

  void fill_arms() {
    for (std::size_t i = 0; i < searches_.size(); ++i) {
      Arm& arm = results_.arms[i];
      arm.trials = searches_[i].trials();
      arm.searches = searches_[i].summary();
      if (arm.searches.empty()) continue;
      const Rates best = searches_[i].best();
      arm.hidden_lr = best.hidden;
      arm.auxiliary_lr = best.auxiliary;
    }
  }

  void say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }

  StudyPlan plan_;  // with jobs and threads once they are settled
  const StudyOptions& options_;
  std::string dataset_hash_;
  std::int64_t vocabulary_ = 0;
  std::int64_t windows_ = 0;  // when the plan leaves them to the data
  Results results_;
  std::vector<ArmSearch> searches_;
  std::set<std::size_t> asked_final_;
  std::deque<Job> queue_;
  std::size_t planned_ = 0;
  std::size_t ended_ = 0;
  std::size_t executed_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace

Results run_study(const StudyPlan& plan, const StudyOptions& options) {
  std::optional<core::FileLock> lock;
  if (options.execute) {
    core::check_writable(options.runs / plan.name);
    core::check_writable(study_folder(plan, options));
    lock.emplace(options.runs / plan.name, kPatience,
                 "another process is running this study");
  }
  return Scheduler(plan, options).run();
}

std::filesystem::path study_folder(const StudyPlan& plan,
                                   const StudyOptions& options) {
  return options.studies / plan.name;
}

}  // namespace muonlab::study
