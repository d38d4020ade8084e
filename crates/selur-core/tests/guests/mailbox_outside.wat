mailbox: i32.const 1048575
