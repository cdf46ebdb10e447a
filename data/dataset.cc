// files -> sources -> inputs in the order that was asked for, all of one N -> batches.
#include "fxq/data/dataset.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/data/open_source.h"

namespace fxq {
namespace {

absl::Status check_options(absl::Span<const std::string> files, const DatasetOptions& options) {
  std::vector<std::string> problems;
  if (files.empty()) problems.emplace_back("no data files were given");
  if (options.batch < 1) {
    problems.push_back(fmt::format("batch is {}, needed is at least 1", options.batch));
  }
  if (options.limit.has_value() && *options.limit < 1) {
    problems.push_back(fmt::format("limit is {}, needed is at least 1", *options.limit));
  }
  if (options.whole && options.limit) problems.emplace_back("whole inputs have no limit");
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}", fmt::join(problems, "; ")));
}

// A file of one array that has a name of its own still fits a model of one input.
void forget_single_name(const DatasetOptions& options, std::vector<OpenedInput>* opened) {
  if (options.input_names.size() != 1 || opened->size() != 1) return;
  if (!opened->front().named_by_user) opened->front().name.clear();
}

// Unnamed inputs take the wanted names that nobody claims, in order.
void name_by_position(const std::vector<std::string>& wanted, std::vector<OpenedInput>* opened) {
  std::vector<std::string> free;
  for (const std::string& name : wanted) {
    const bool claimed = std::any_of(opened->begin(), opened->end(),
                                     [&](const OpenedInput& input) { return input.name == name; });
    if (!claimed) free.push_back(name);
  }
  size_t next = 0;
  for (OpenedInput& input : *opened) {
    if (input.name.empty() && next < free.size()) input.name = free[next++];
  }
}

absl::Status check_names(const std::vector<std::string>& wanted,
                         const std::vector<OpenedInput>& opened) {
  std::vector<std::string> problems;
  std::map<std::string, std::string> seen;
  for (const OpenedInput& input : opened) {
    const bool known = std::find(wanted.begin(), wanted.end(), input.name) != wanted.end();
    if (input.name.empty() && !wanted.empty()) {
      problems.push_back(fmt::format("{}: one input too many; the inputs are {}", input.what,
                                     fmt::join(wanted, ", ")));
    } else if (!known && !wanted.empty()) {
      problems.push_back(fmt::format("{}: unknown input \"{}\"; {}", input.what, input.name,
                                     did_you_mean(input.name, wanted)));
    }
    const auto [first, is_new] = seen.emplace(input.name, input.what);
    if (!is_new && !input.name.empty()) {
      problems.push_back(fmt::format("input \"{}\" comes twice: from {} and from {}", input.name,
                                     first->second, input.what));
    }
  }
  for (const std::string& name : wanted) {
    if (seen.count(name) == 0) {
      problems.push_back(fmt::format("no data for input \"{0}\"; give {0}=path", name));
    }
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}", fmt::join(problems, "\n")));
}

}  // namespace

absl::StatusOr<Dataset> Dataset::open(absl::Span<const std::string> files, DatasetOptions options) {
  FXQ_RETURN_IF_ERROR(check_options(files, options));
  FXQ_ASSIGN_OR_RETURN(std::vector<OpenedInput> opened, open_sources(files, options));
  const std::vector<std::string>& wanted = options.input_names;
  forget_single_name(options, &opened);
  name_by_position(wanted, &opened);
  FXQ_RETURN_IF_ERROR(check_names(wanted, opened));
  const auto rank = [&](const OpenedInput& input) {
    return std::find(wanted.begin(), wanted.end(), input.name) - wanted.begin();
  };
  std::stable_sort(opened.begin(), opened.end(),
                   [&](const OpenedInput& a, const OpenedInput& b) { return rank(a) < rank(b); });
  Dataset dataset;
  dataset.options_ = std::move(options);
  for (OpenedInput& input : opened) {
    dataset.inputs_.push_back({std::move(input.name), std::move(input.source)});
  }
  FXQ_RETURN_IF_ERROR(dataset.settle_size());
  return dataset;
}

absl::Status Dataset::settle_size() {
  size_ = inputs_[0].source->size();
  const bool agree = std::all_of(inputs_.begin(), inputs_.end(),
                                 [&](const Input& input) { return input.source->size() == size_; });
  if (!agree && !options_.whole) {
    return absl::InvalidArgumentError(
        fmt::format("the inputs have different numbers of samples:\n{}", describe()));
  }
  size_ = std::min(size_, options_.limit.value_or(size_));
  return absl::OkStatus();
}

std::vector<std::string> Dataset::input_names() const {
  std::vector<std::string> names;
  for (const Input& input : inputs_) names.push_back(input.name);
  return names;
}

std::string Dataset::describe() const {
  std::vector<std::string> lines;
  for (const Input& input : inputs_) {
    lines.push_back(fmt::format("  {} ({} samples) from {}",
                                input.name.empty() ? "an input" : input.name, input.source->size(),
                                input.source->describe()));
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

absl::StatusOr<std::optional<Batch>> Dataset::next() {
  if (next_ >= size_) return std::optional<Batch>();
  if (options_.whole) {
    next_ = size_;
    return all();
  }
  Batch batch;
  batch.first = next_;
  batch.size = std::min(options_.batch, size_ - next_);
  for (const Input& input : inputs_) {
    FXQ_ASSIGN_OR_RETURN(HostTensor tensor, input.source->read(batch.first, batch.size, size_));
    batch.inputs.push_back({input.name, std::move(tensor)});
  }
  next_ += batch.size;
  return std::optional<Batch>(std::move(batch));
}

absl::StatusOr<Batch> Dataset::all() const {
  Batch batch;
  batch.size = size_;
  for (const Input& input : inputs_) {
    const int64_t count = input.source->size();
    FXQ_ASSIGN_OR_RETURN(HostTensor tensor, input.source->read(0, count, count));
    batch.inputs.push_back({input.name, std::move(tensor)});
  }
  return batch;
}

absl::StatusOr<std::vector<NamedTensor>> Dataset::gather(absl::Span<const int64_t> samples) const {
  if (samples.empty()) return absl::InvalidArgumentError("a batch of no samples was asked for");
  std::vector<NamedTensor> inputs;
  for (const Input& input : inputs_) {
    HostTensor all;
    size_t bytes = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      FXQ_ASSIGN_OR_RETURN(const HostTensor one, input.source->read(samples[i], 1, size_));
      if (i == 0) {
        std::vector<int64_t> dims = one.dims();
        dims[0] = static_cast<int64_t>(samples.size());
        all = HostTensor(one.dtype(), std::move(dims));
        bytes = one.byte_size();
      }
      if (one.byte_size() != bytes || one.dtype() != all.dtype()) {
        return absl::InvalidArgumentError(fmt::format("{}: samples {} and {} have different shapes",
                                                      input.source->describe(), samples[0],
                                                      samples[i]));
      }
      std::memcpy(all.mutable_bytes() + i * bytes, one.bytes(), bytes);
    }
    inputs.push_back({input.name, std::move(all)});
  }
  return inputs;
}

}  // namespace fxq
