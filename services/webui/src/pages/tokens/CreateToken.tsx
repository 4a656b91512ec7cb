import { Modal } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useCreateToken } from "../../api/queries";
import { NewToken } from "./NewToken";
import { TokenForm } from "./TokenForm";

export function CreateToken({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const narrow = useMediaQuery("(max-width: 48em)");
  const create = useCreateToken();
  const token = create.data?.token;
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      onExitTransitionEnd={create.reset}
      title={token ? "Your new token" : "Create a token"}
      size="lg"
      fullScreen={narrow ?? false}
      // A token that is shown once must not vanish by a click beside it.
      closeOnClickOutside={!token}
      closeOnEscape={!token}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {token ? (
        <NewToken token={token} onClose={onClose} />
      ) : (
        <TokenForm create={create} onClose={onClose} />
      )}
    </Modal>
  );
}
