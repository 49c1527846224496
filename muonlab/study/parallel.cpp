#include "muonlab/study/parallel.h"

#include <algorithm>
#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/formats/json.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study {

namespace {

using formats::Json;

constexpr const char* kSchema = "muonlab-study-parallel-1";

// Two rounds of a few steps err by a few per cent. One thread per run is the
// form to keep then: its bits do not depend on how many cores a machine has.
constexpr double kLead = 1.05;

std::string percent(double ratio) { return core::fixed(100 * ratio, 0) + " %"; }

std::string speed_text(const FormSpeed& speed) {
  return concat(form_text(speed.form), ": ",
                core::grouped(std::llround(speed.tokens_per_second)),
                " tokens/s");
}

// What the plan itself says; nothing when that is left to measurement.
std::optional<Parallel> planned(const StudyPlan& plan, std::int64_t cores) {
  if (!plan.jobs && !plan.threads) return std::nullopt;
  Parallel parallel;
  if (plan.threads) {
    parallel.form.threads = *plan.threads;
    parallel.form.jobs =
        plan.jobs.value_or(std::max<std::int64_t>(1, cores / *plan.threads));
    parallel.reason = plan.jobs ? "study.jobs and study.threads say so"
                                : concat("study.threads says so, on ",
                                         detail::count_text(cores, "core"));
  } else {
    parallel.form.jobs = *plan.jobs;
    parallel.form.threads = std::max<std::int64_t>(1, cores / *plan.jobs);
    parallel.reason =
        concat("study.jobs says so, on ", detail::count_text(cores, "core"));
  }
  return parallel;
}

// Follows the record; nothing when the plan asks for another thread count.
std::optional<Parallel> recorded(const StudyPlan& plan,
                                 const ParallelContext& context) {
  auto parallel = read_parallel(context.file);
  if (!parallel) return std::nullopt;
  if (plan.threads && *plan.threads != parallel->form.threads) {
    return std::nullopt;
  }
  if (plan.jobs && *plan.jobs != parallel->form.jobs) {
    parallel->form.jobs = *plan.jobs;
    parallel->reason =
        concat("study.jobs says so; threads as recorded when the study began: ",
               parallel->reason);
  }
  return parallel;
}

// Sets `keep` to false when the answer holds for this time alone.
Parallel measured(const ParallelContext& context, bool& keep) {
  Parallel parallel;
  const std::vector<Form> forms = forms_of(context.cores);
  parallel.form = forms.front();
  if (forms.size() == 1) {
    parallel.reason = "one core leaves nothing to choose";
    return parallel;
  }
  if (!context.execute) {
    parallel.reason = "not chosen yet: `muonlab study run` measures first";
    return parallel;
  }
  context.say(concat("measuring how to use ", context.cores,
                     " cores: a few steps of the study's own runs"));
  const std::vector<FormSpeed> speeds = context.measure(forms);
  if (speeds.empty()) {
    keep = false;
    parallel.reason = "the default: the runs to measure did not get to the end";
    return parallel;
  }
  for (const FormSpeed& speed : speeds) {
    context.say(concat("measured ", speed_text(speed)));
  }
  return choose_form(speeds, context.machine);
}

}  // namespace

std::string form_text(Form form) {
  if (form.jobs == 1) {
    return concat("one run at a time, ",
                  detail::count_text(form.threads, "thread"), " each");
  }
  return concat(form.jobs, " runs side by side, ",
                detail::count_text(form.threads, "thread"), " each");
}

std::vector<Form> forms_of(std::int64_t cores) {
  std::vector<Form> forms = {{.jobs = cores, .threads = 1}};
  for (std::int64_t threads = 2; threads < cores; threads *= 2) {
    forms.push_back({.jobs = cores / threads, .threads = threads});
  }
  // On 6 cores, say, 4 threads leave one run and two idle cores.
  std::erase_if(
      forms, [&](Form form) { return form.jobs == 1 && form.threads < cores; });
  if (cores > 1) forms.push_back({.jobs = 1, .threads = cores});
  return forms;
}

Parallel choose_form(const std::vector<FormSpeed>& measured,
                     const std::string& machine) {
  MUONLAB_CHECK(!measured.empty(), "choose_form: got no speeds");
  const auto speed = [](const FormSpeed& one) { return one.tokens_per_second; };
  const FormSpeed& usual = measured.front();
  const FormSpeed& best = *std::ranges::max_element(measured, {}, speed);
  Parallel parallel;
  parallel.machine = machine;
  parallel.measured = measured;
  if (speed(best) > kLead * speed(usual)) {
    parallel.form = best.form;
    parallel.reason =
        concat("measured ", percent(speed(best) / speed(usual) - 1),
               " more tokens per second than ", form_text(usual.form));
    return parallel;
  }
  parallel.form = usual.form;
  parallel.reason =
      concat("the default; no other way is ", percent(kLead - 1), " faster");
  double other = 0;
  for (std::size_t i = 1; i < measured.size(); ++i) {
    other = std::max(other, speed(measured[i]));
  }
  if (other > 0) {
    parallel.reason +=
        concat(" (the best of them makes ", percent(other / speed(usual)),
               " of its tokens per second)");
  }
  return parallel;
}

std::optional<Parallel> read_parallel(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const char* remedy = "remove the file to have it measured again";
  const Json json = formats::read_json(file);
  try {
    const auto form = [](const Json& object) {
      return Form{object.at("jobs").get<std::int64_t>(),
                  object.at("threads").get<std::int64_t>()};
    };
    if (json.at("schema") != kSchema) {
      throw Error(ErrorKind::kUnsupported,
                  concat(file.string(), ": schema ", json.at("schema").dump(),
                         ", expected ", kSchema),
                  remedy);
    }
    Parallel parallel;
    parallel.form = form(json);
    parallel.reason = json.at("reason").get<std::string>();
    parallel.machine = json.at("machine").get<std::string>();
    for (const Json& one : json.at("measured")) {
      parallel.measured.push_back(
          {form(one), formats::number_from_json(one.at("tokens_per_second"),
                                                "tokens_per_second")});
    }
    if (parallel.form.jobs < 1 || parallel.form.threads < 1) {
      throw Error(ErrorKind::kCorruptData,
                  concat(file.string(), ": got jobs ", parallel.form.jobs,
                         " and threads ", parallel.form.threads,
                         ", expected 1 or more"),
                  remedy);
    }
    return parallel;
  } catch (const nlohmann::json::exception& e) {
    throw Error(
        ErrorKind::kCorruptData,
        concat(file.string(), ": not a record of jobs and threads: ", e.what()),
        remedy);
  }
}

void write_parallel(const std::filesystem::path& file,
                    const Parallel& parallel) {
  Json speeds = Json::array();
  for (const FormSpeed& speed : parallel.measured) {
    speeds.push_back({{"jobs", speed.form.jobs},
                      {"threads", speed.form.threads},
                      {"tokens_per_second", formats::json_number(std::round(
                                                speed.tokens_per_second))}});
  }
  formats::write_json(file, {{"schema", kSchema},
                             {"jobs", parallel.form.jobs},
                             {"threads", parallel.form.threads},
                             {"reason", parallel.reason},
                             {"machine", parallel.machine},
                             {"measured", speeds}});
}

Parallel settle_parallel(StudyPlan& plan, const ParallelContext& context) {
  const auto say = [&](const std::string& line) {
    if (context.execute) context.say(line);
  };
  std::optional<Parallel> parallel = recorded(plan, context);
  const bool known = parallel.has_value();
  bool keep = context.execute && !known;
  if (!parallel) parallel = planned(plan, context.cores);
  if (!parallel) parallel = measured(context, keep);
  if (!known) parallel->machine = context.machine;
  if (keep) write_parallel(context.file, *parallel);
  const Form form = parallel->form;
  say(concat(form_text(form), known ? ", as recorded in " : "",
             known ? context.file.string() : "", ": ", parallel->reason));
  if (known && form.jobs * form.threads > context.cores) {
    say(concat("warning: this machine has ",
               detail::count_text(context.cores, "core"),
               ", the record is from ", parallel->machine,
               "; runs may take longer, their threads and so their bits stay "
               "the same"));
  }
  plan.jobs = form.jobs;
  plan.threads = form.threads;
  return *std::move(parallel);
}

}  // namespace muonlab::study
